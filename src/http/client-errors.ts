import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { HttpProblem, type ProblemSlug, problemAnswer } from './problems.ts'

const slugs: Readonly<Record<string, ProblemSlug>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

/** Answers what Node's parser refuses before there is a request: a problem document, one log line, and the end of the connection. */
export function clientErrorHandler(logger: Logger) {
  return (error: Error & { code?: string }, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy(error)
      return
    }
    const correlationId = randomUUID()
    const problem = new HttpProblem(slugs[error.code ?? ''] ?? 'malformed-request')
    logger.info({ route: 'unparsed', status: problem.statusCode, code: error.code, correlationId }, 'request')
    socket.end(rawAnswer(problem, correlationId))
  }
}

/** Answers an Expect header other than 100-continue, which Node keeps from the routes. */
export function refuseExpectation(logger: Logger) {
  return (_request: IncomingMessage, response: ServerResponse): void => {
    const correlationId = randomUUID()
    const { status, headers, body } = problemAnswer(new HttpProblem('expectation-failed'), correlationId)
    logger.info({ route: 'unparsed', status, correlationId }, 'request')
    response.writeHead(status, { ...headers, 'x-request-id': correlationId, connection: 'close' }).end(body)
  }
}

function rawAnswer(problem: HttpProblem, correlationId: string): string {
  const { status, headers, body } = problemAnswer(problem, correlationId)
  const lines = Object.entries({
    ...headers,
    'x-request-id': correlationId,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`
}
