import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { App } from '../instance.ts'
import { pagePolicy } from '../openapi.ts'
import { operation } from '../operation.ts'
import { HttpProblem, type ProblemSlug, problemSlugs, problems } from '../problems.ts'

const kind = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  description: z.string(),
  retryAfterSeconds: z.int().optional(),
})

/** GET /problems and /problems/{slug}: what each `type` of a problem document refers to, as a page or as JSON. */
export function problemPages(app: App): void {
  const common = { access: 'public', tag: 'Service' } as const
  const all = operation(
    {
      ...common,
      summary: 'Every kind of problem',
      description: 'The catalogue of problem documents, as JSON or, for a browser, as a page.',
      answers: { 200: { description: 'The catalogue.', schema: z.array(kind) } },
    },
    {},
  )
  app.get('/problems', all, (request, reply) => answer(request, reply, problemSlugs))

  const params = z.object({ slug: z.string().meta({ examples: ['illegal-transition'] }) })
  const one = operation(
    {
      ...common,
      summary: 'What a kind of problem means',
      description: 'What happened and what can be done about it, as JSON or, for a browser, as a page.',
      answers: { 200: { description: 'The kind of problem.', schema: kind } },
      problems: ['not-found'],
    },
    { params },
  )
  app.get('/problems/:slug', one, (request, reply) => {
    const slug = problemSlugs.find((known) => known === request.params.slug)
    if (!slug) throw new HttpProblem('not-found')
    return answer(request, reply, slug)
  })
}

function answer(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  asked: ProblemSlug | readonly ProblemSlug[],
) {
  if (!headers.accept?.includes('text/html')) {
    return reply.send(typeof asked === 'string' ? kindOf(asked) : asked.map(kindOf))
  }
  return reply
    .type('text/html; charset=utf-8')
    .header('content-security-policy', pagePolicy)
    .send(html([asked].flat()))
}

function kindOf(slug: ProblemSlug) {
  return { type: `/problems/${slug}`, ...problems[slug] }
}

/** Everything in it is ours: no word of a request gets into the page. */
function html(slugs: readonly ProblemSlug[]): string {
  const sections = slugs.map((slug) => {
    const { title, status, description } = problems[slug]
    const text = description.replaceAll(/`([^`]+)`/g, '<code>$1</code>')
    return `<h2 id="${slug}">${title}</h2><p><code>${slug}</code> · ${status}</p><p>${text}</p>`
  })
  const back = '<p><a href="/problems">All problems</a> · <a href="/docs">API</a></p>'
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Problems · Incident Ledger</title>${sections.join('')}${back}</html>`
}
