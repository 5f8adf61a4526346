import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import { HttpProblem } from './problems.ts'

/** What an operator looks at is answered all the same: just then it is looked at. */
const exempt = /^\/(health|metrics)(\/|$)/

/**
 * Answers 503 at once while the process is so busy that callers would wait for longer than `delayMs`: to be told to come back is better
 * than to be kept waiting, and what is under way gets done.
 */
export function shedLoad(app: FastifyInstance, { delayMs }: { readonly delayMs: number }): void {
  app.register(underPressure, {
    maxEventLoopDelay: delayMs,
    sampleInterval: 500,
    pressureHandler: (request) => {
      if (!exempt.test(request.routeOptions.url ?? '')) throw new HttpProblem('overloaded')
    },
  })
}
