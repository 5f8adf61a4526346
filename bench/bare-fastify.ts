/** A bare Fastify that answers every request with the bytes it is given: what the service's GETs are measured beside. */
import Fastify from 'fastify'

const [bodyText = '{}'] = process.argv.slice(2)
const app = Fastify()
app.get('/*', (_request, reply) => {
  reply.type('application/json; charset=utf-8').send(bodyText)
})
const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
process.send?.({ port: Number(url.port) })
