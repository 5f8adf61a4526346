import kafkajs, { type Admin } from 'kafkajs'

export type TopicRole = 'events' | 'state' | 'publisher' | 'reports' | 'rejected'

interface TopicDefinition {
  readonly name: string
  /** Of a new topic. One that is there may have another number, save where one is all that can be. */
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

const dayMs = 24 * 60 * 60 * 1_000
const days = (count: number) => String(count * dayMs)
/**
 * Text that an erasure superseded leaves the compacted topics within this: so long at most may a record wait for compaction,
 * and so old may a segment get before a new one is begun.
 */
const compaction = {
  'cleanup.policy': 'compact',
  'max.compaction.lag.ms': days(7),
  'segment.ms': days(1),
}

/** The topics without their prefix. docs/kafka.md tells what is in each. */
export const topicDefinitions: Readonly<Record<TopicRole, TopicDefinition>> = {
  events: {
    name: 'incidents.events',
    partitions: 6,
    config: { 'cleanup.policy': 'delete', 'retention.ms': days(30) },
  },
  state: { name: 'incidents.state', partitions: 6, config: compaction },
  // A position with each transaction: in small segments, so that they are soon compacted.
  publisher: {
    name: 'incidents.publisher',
    partitions: 1,
    config: { 'cleanup.policy': 'compact', 'segment.bytes': String(16 * 1024 * 1024) },
  },
  // Uncompressed: senders may compress in ways that kafkajs cannot read, or what is larger by far than what a record may be.
  reports: {
    name: 'incidents.reports',
    partitions: 6,
    config: { 'cleanup.policy': 'delete', 'retention.ms': days(7), 'compression.type': 'uncompressed' },
  },
  // A rejected record is a little larger than the one that came in.
  rejected: {
    name: 'incidents.reports.rejected',
    partitions: 1,
    config: {
      'cleanup.policy': 'delete',
      'retention.ms': days(30),
      'max.message.bytes': String(2 * 1024 * 1024),
    },
  },
}

export function topicName(role: TopicRole, prefix: string): string {
  return `${prefix}${topicDefinitions[role].name}`
}

/** A topic is missing or not as it must be, and may not be mended from here. The message says how the operator does. */
export class TopicUnfit extends Error {
  override readonly name = 'TopicUnfit'
}

/**
 * Makes those of the topics that are not there, where the cluster lets us, and checks all of them. Topics that are there are
 * left as they are: how many partitions, how long records are kept and how often they are copied is the operator's choice. What is not is
 * whether old records are dropped by age or by key, which the topic's promise hangs on.
 *
 * @returns the number of partitions of each.
 * @throws TopicUnfit; kafkajs's errors where the cluster cannot be reached.
 */
export async function ensureTopics<Role extends TopicRole>(
  admin: Admin,
  roles: readonly Role[],
  prefix: string,
): Promise<Readonly<Record<Role, number>>> {
  const existing = new Set(await admin.listTopics())
  const missing = roles.filter((role) => !existing.has(topicName(role, prefix)))
  if (missing.length > 0) await create(admin, missing, prefix)
  const topics = roles.map((role) => topicName(role, prefix))
  const described = await admin.fetchTopicMetadata({ topics })
  await checkCleanup(admin, roles, prefix)
  const counts = {} as Record<Role, number> // filled for every role below
  for (const role of roles) {
    const name = topicName(role, prefix)
    const found = described.topics.find((topic) => topic.name === name)
    counts[role] = found?.partitions.length ?? 0
    if (role === 'publisher' && counts[role] !== 1) {
      throw new TopicUnfit(
        `The topic ${name} has ${counts[role]} partitions, but must have one. ${remedy(role, name)}`,
      )
    }
  }
  return counts
}

async function create(admin: Admin, roles: readonly TopicRole[], prefix: string): Promise<void> {
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: roles.map((role) => {
        const { partitions, config } = topicDefinitions[role]
        return {
          topic: topicName(role, prefix),
          numPartitions: partitions,
          // The cluster's own default.
          replicationFactor: -1,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        }
      }),
    })
  } catch (error) {
    // Another process may have been sooner, and made some of them.
    const existing = new Set(await admin.listTopics())
    const role = roles.find((one) => !existing.has(topicName(one, prefix)))
    if (role === undefined) return
    const name = topicName(role, prefix)
    const why = error instanceof Error ? reasonsOf(error) : String(error)
    throw new TopicUnfit(
      `The topic ${name} is missing and cannot be made from here (${why}). ${remedy(role, name)}`,
      {
        cause: error,
      },
    )
  }
}

/** kafkajs joins the errors of several topics under a message that says nothing. */
function reasonsOf(error: Error & { readonly errors?: readonly Error[] }): string {
  return [...new Set((error.errors ?? [error]).map(({ message }) => message))].join('; ')
}

async function checkCleanup(admin: Admin, roles: readonly TopicRole[], prefix: string): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: roles.map((role) => ({
      // Not among the names that Node finds in a CommonJS module.
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name: topicName(role, prefix),
      configNames: ['cleanup.policy'],
    })),
  })
  for (const role of roles) {
    const name = topicName(role, prefix)
    const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries
    const found = entries?.find(({ configName }) => configName === 'cleanup.policy')?.configValue
    const wanted = topicDefinitions[role].config['cleanup.policy']
    // A cluster may keep its configuration from us: then nothing is known, and nothing is said.
    if (found === undefined || found === wanted) continue
    throw new TopicUnfit(
      `The topic ${name} has cleanup.policy=${found}, but must have ${wanted}, or records are lost that it promises to keep. ${remedy(role, name)}`,
    )
  }
}

function remedy(role: TopicRole, name: string): string {
  const { partitions, config } = topicDefinitions[role]
  const settings = Object.entries(config).map(([key, value]) => `${key}=${value}`)
  return `It is to be made with ${partitions} partition${partitions === 1 ? '' : 's'} and ${settings.join(', ')}: ${name}.`
}
