/** What one can ask of an access key. Its digest and the time come in with the command: the domain has neither chance nor clock. */
import { z } from 'zod'
import * as values from './values.ts'

export const issueBody = z.strictObject({
  name: values.keyName,
  scopes: values.scopeSet,
  expiresAt: values.moment.nullable().default(null),
  requiresSignature: z.boolean().default(false),
})

/** What is absent stays. At least one member. */
export const keyRevisionBody = z
  .strictObject({
    name: values.keyName.optional(),
    scopes: values.scopeSet.optional(),
    expiresAt: values.moment.nullable().optional(),
  })
  .refine(
    (body) => Object.values(body).some((value) => value !== undefined),
    'must name at least one field to change',
  )

export type IssueBody = z.output<typeof issueBody>
export type KeyRevisionBody = z.output<typeof keyRevisionBody>

export type AccessKeyCommand =
  | {
      readonly type: 'Issue'
      readonly id: values.AccessKeyId
      readonly body: IssueBody
      readonly digest: string
    }
  | { readonly type: 'Revise'; readonly body: KeyRevisionBody }
  | { readonly type: 'Revoke' }
