/** What can have happened to an access key. Never the key itself: whoever reads the ledger gains no entrance by it. */
import { z } from 'zod'
import * as values from './values.ts'

const issued = z.strictObject({
  name: values.keyName,
  digest: values.digest,
  scopes: values.scopeSet,
  /** From then on it opens nothing; null: never. */
  expiresAt: values.moment.nullable(),
  /** Whether only signed requests are taken under it. */
  requiresSignature: z.boolean(),
})

/** The shape of each event's data, by its type. Schema version 1 for all of them. */
export const accessKeyEventData = {
  AccessKeyIssued: issued,
  AccessKeyRenamed: z.strictObject({ from: values.keyName, to: values.keyName }),
  AccessKeyRescoped: z.strictObject({ from: values.scopeSet, to: values.scopeSet }),
  AccessKeyExpirySet: z.strictObject({ from: values.moment.nullable(), to: values.moment.nullable() }),
  AccessKeyRevoked: z.strictObject({}),
} as const

export type AccessKeyEventType = keyof typeof accessKeyEventData
export const accessKeyEventTypes = Object.keys(accessKeyEventData) as AccessKeyEventType[]

export type AccessKeyEvent = {
  [Type in AccessKeyEventType]: {
    readonly type: Type
    readonly data: Readonly<z.output<(typeof accessKeyEventData)[Type]>>
    /** When this ledger decided it; ISO 8601 in UTC with milliseconds. */
    readonly recordedAt: string
  }
}[AccessKeyEventType]
