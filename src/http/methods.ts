import type { FastifyInstance, HTTPMethods } from 'fastify'
import { HttpProblem } from './problems.ts'

type Declared = ReadonlyMap<string, ReadonlySet<string>>

const methods: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** The methods of each path that is registered after this. */
export function declaredMethods(app: FastifyInstance): Declared {
  const declared = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = declared.get(url) ?? new Set()
    declared.set(url, known)
    for (const each of [method].flat()) known.add(each)
  })
  return declared
}

/** Answers every other method of these paths with 405 and an Allow header, to callers who have a key. */
export function refuseOtherMethods(app: FastifyInstance, declared: Declared): void {
  for (const [url, known] of [...declared]) {
    const allowed = methods.filter((method) => known.has(method)).join(', ')
    app.route({
      url,
      method: methods.filter((method) => !known.has(method)),
      config: { access: 'read' },
      handler: () => {
        throw new HttpProblem('method-not-allowed', {}, { allow: allowed })
      },
    })
  }
}
