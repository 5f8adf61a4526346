import { pino } from 'pino'
import { openPublisher, type Publisher } from '../../../src/integrations/kafka/publisher.ts'
import { waitFor } from '../../support/wait-for.ts'

export interface RunningPublisher extends AsyncDisposable, Pick<Publisher, 'health'> {
  /** Resolves when the event of this index is in Kafka. */
  readonly published: (index: number) => Promise<unknown>
  readonly stopped: () => Promise<string>
}

type Options = Omit<Parameters<typeof openPublisher>[0], 'settings' | 'log'> & {
  readonly brokers: readonly string[]
  readonly topicPrefix: string
}

/** A publisher that works until it is disposed. */
export function runPublisher({ brokers, topicPrefix, ...options }: Options): RunningPublisher {
  const publisher = openPublisher({
    ...options,
    settings: { brokers, topicPrefix },
    log: pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }),
  })
  const stop = new AbortController()
  const running = publisher.publish(stop.signal)
  const { health } = publisher
  return {
    health,
    published: (index) =>
      waitFor(() => health().publishedIndex === index, { describe: `event ${index} is published` }).catch(
        (error: unknown) => {
          throw new Error(`the publisher is ${JSON.stringify(health())}`, { cause: error })
        },
      ),
    stopped: () =>
      waitFor(() => (health().state === 'stopped' ? health().reason : undefined), {
        describe: 'the publisher has stopped',
      }),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}
