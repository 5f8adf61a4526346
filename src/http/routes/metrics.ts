import type { Registry } from 'prom-client'
import { z } from 'zod'
import type { App } from '../instance.ts'
import { operation } from '../operation.ts'

/** GET /metrics */
export function metricsPage(app: App, registry: Registry): void {
  const described = operation(
    {
      access: 'read',
      tag: 'Service',
      summary: 'Metrics for Prometheus',
      description:
        'In the text format of Prometheus. Its scrape configuration sends the access key by `authorization: {credentials}`.',
      answers: { 200: { description: 'The metrics.', schema: z.string(), mediaType: 'text/plain' } },
    },
    {},
  )
  app.get(
    '/metrics',
    { ...described, config: { ...described.config, probed: true } },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  )
}
