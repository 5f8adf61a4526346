import { type TopicRole, topicDefinitions, topicName } from '../kafka/topics.ts'
import {
  eventMessages,
  type MessageDescription,
  positionMessages,
  rejectionMessages,
  reportMessages,
  type Shown,
  stateMessages,
} from './messages.ts'

export interface AsyncApiOptions {
  readonly version: string
  /** Before the name of every topic. */
  readonly topicPrefix: string
  readonly shown: Shown
}

interface Channel {
  readonly title: string
  readonly description: string
  /** What the service does with it, and what that means. */
  readonly action: 'send' | 'receive'
  readonly summary: string
  readonly messages: readonly MessageDescription[]
}

const bindingVersion = '0.5.0'

/**
 * What comes and goes by Kafka, as an AsyncAPI 3.1 document (https://www.asyncapi.com/docs/reference/specification/v3.1.0): the schemas are
 * those that validate, the examples what the service's own functions make.
 */
export function asyncApiDocument({ version, topicPrefix, shown }: AsyncApiOptions): object {
  const channels = Object.entries(channelsOf(shown)) as [TopicRole, Channel][] // entries widens the roles
  return {
    asyncapi: '3.1.0',
    info: {
      title: 'Incident Ledger on Kafka',
      version,
      description:
        'Every event of the ledger goes out, and reports come in. A subscriber that reads committed records only (isolation.level=read_committed) finds each event exactly once, in order per incident; what it does with them is its own transaction. Keep the index or the offset with your results.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      kafka: {
        host: '{brokers}',
        protocol: 'kafka',
        description: 'The cluster that KAFKA_BROKERS names.',
        variables: { brokers: { default: '127.0.0.1:9092', description: 'host:port of a broker.' } },
      },
    },
    channels: Object.fromEntries(channels.map(([role, channel]) => [role, channelOf(role, channel)])),
    operations: Object.fromEntries(
      channels.map(([role, channel]) => [operationNames[role], operationOf(role, channel)]),
    ),
    components: {
      messages: Object.fromEntries(
        channels.flatMap(([, { messages }]) => messages.map((message) => [message.name, messageOf(message)])),
      ),
    },
  }

  function channelOf(role: TopicRole, { title, description, messages }: Channel): object {
    const { partitions, config } = topicDefinitions[role]
    const { 'cleanup.policy': cleanup, 'retention.ms': retention } = config
    return {
      address: topicName(role, topicPrefix),
      title,
      description,
      servers: [{ $ref: '#/servers/kafka' }],
      messages: Object.fromEntries(
        messages.map(({ name }) => [name, { $ref: `#/components/messages/${name}` }]),
      ),
      bindings: {
        kafka: {
          topic: topicName(role, topicPrefix),
          partitions,
          topicConfiguration: {
            'cleanup.policy': [cleanup],
            ...(retention !== undefined && { 'retention.ms': Number(retention) }),
          },
          bindingVersion,
        },
      },
    }
  }
}

const operationNames = {
  events: 'publishEvents',
  state: 'publishState',
  publisher: 'keepPosition',
  reports: 'takeReports',
  rejected: 'rejectReports',
} as const satisfies Record<TopicRole, string>

function operationOf(role: TopicRole, { action, summary, messages }: Channel): object {
  return {
    action,
    summary,
    channel: { $ref: `#/channels/${role}` },
    messages: messages.map(({ name }) => ({ $ref: `#/channels/${role}/messages/${name}` })),
  }
}

function messageOf({ key, ...message }: MessageDescription): object {
  return { ...message, bindings: { kafka: { key, bindingVersion } } }
}

function channelsOf(shown: Shown): Readonly<Record<TopicRole, Channel>> {
  return {
    events: {
      title: 'Every event of every incident',
      description:
        'Key: the incident. Within an incident ce_sequence counts from 0 without a gap, so that a missing event shows. Written in transactions together with the position of the publisher.',
      action: 'send',
      summary: 'Each event once, in order per incident, for readers of committed records.',
      messages: eventMessages(shown),
    },
    state: {
      title: 'Every incident as it is now',
      description:
        'Compacted: the latest record of each incident is kept, written in the same transaction as its event. For a table of your own, read it from the beginning.',
      action: 'send',
      summary: 'The latest state of an incident, after each of its events.',
      messages: stateMessages(shown),
    },
    publisher: {
      title: 'How far the publisher is',
      description: 'For the service itself. Do not write to it, and do not delete it.',
      action: 'send',
      summary: 'The last published event, in the transaction that publishes it.',
      messages: positionMessages(),
    },
    reports: {
      title: 'Reports from outside',
      description:
        'A report is known again by its CloudEvents source and id, else by its place in the topic: it is handled once, however often it is delivered. Records of one key are taken in order. What cannot be taken goes to the rejected ones.',
      action: 'receive',
      summary: 'Reports of incidents, and changes of their status by external key.',
      messages: reportMessages(),
    },
    rejected: {
      title: 'Reports that could not be taken',
      description:
        'Each with the reason. A record can come twice after a crash: drop repeats by rejected-topic, rejected-partition and rejected-offset.',
      action: 'send',
      summary: 'What was malformed, or refused for good.',
      messages: rejectionMessages(),
    },
  }
}
