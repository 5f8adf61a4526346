/**
 * Kafka's broker as a program: fetched once from Maven Central into `.cache/kafka`, where every later run finds it. That needs `mvn` for
 * the first run, and `java` for each.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const kafkaVersion = '4.3.1'
const cache = fileURLToPath(new URL(`../../.cache/kafka/${kafkaVersion}`, import.meta.url))
/** Any id does: each broker of the tests is a cluster of its own, and never meets another. */
const clusterId = 'abcdefghijklmnopqrstuA'

export interface KafkaProgram {
  /** For `java -cp`: the broker, its tools and the Java client. */
  readonly classpath: string
  /** An empty broker's log directory, to be copied. */
  readonly emptyLog: string
}

/** Why there can be no broker on this machine; undefined where there can. */
export async function whyNoKafkaProgram(): Promise<string | undefined> {
  const missing = async (program: string, option: string) =>
    run(program, [option]).then(
      () => false,
      () => true,
    )
  if (await missing('java', '-version')) return 'java is not on PATH'
  if (await exists(join(cache, 'libs'))) return undefined
  return (await missing('mvn', '-v')) ? 'mvn, which would fetch it, is not on PATH' : undefined
}

/** Fetches the broker if it is not there yet: about a minute, 56 MB. Several processes may try at once. */
export async function kafkaProgram(): Promise<KafkaProgram> {
  const libs = join(cache, 'libs')
  const classpath = join(libs, '*')
  const emptyLog = join(cache, 'empty-log')
  await once(libs, async (folder) => {
    const pom = `${folder}.xml`
    await writeFile(pom, project)
    const options = ['-q', '-B', '-f', pom, `-DoutputDirectory=${folder}`, '-DincludeScope=runtime']
    await run('mvn', ['dependency:copy-dependencies', ...options]).finally(() => rm(pom, { force: true }))
  })
  await once(emptyLog, async (folder) => {
    const properties = `${folder}.properties`
    await writeFile(properties, brokerProperties({ port: 1, controllerPort: 2, logDirectory: folder }))
    const tool = ['-Xmx64m', '-cp', classpath, 'kafka.tools.StorageTool']
    await run('java', [...tool, 'format', '-t', clusterId, '-c', properties]).finally(() =>
      rm(properties, { force: true }),
    )
  })
  return { classpath, emptyLog }
}

/** A second listener, for clients with TLS and a password (SASL PLAIN). */
export interface SecureListener {
  readonly port: number
  /** PKCS #12, of the broker's certificate and key. */
  readonly keystore: string
  readonly keystorePassword: string
  readonly username: string
  readonly password: string
}

/** One process that is broker and controller in one, small and quick to start. Durable: what it acknowledged survives kill -9. */
export function brokerProperties(options: {
  readonly port: number
  readonly advertisedPort?: number
  readonly controllerPort: number
  readonly logDirectory: string
  readonly secure?: SecureListener | undefined
}): string {
  const { port, controllerPort, logDirectory, advertisedPort = port, secure } = options
  const secureListener = secure ? `,SECURE://127.0.0.1:${secure.port}` : ''
  return `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${secureListener}
advertised.listeners=PLAINTEXT://127.0.0.1:${advertisedPort}${secureListener}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
controller.quorum.voters=1@127.0.0.1:${controllerPort}
log.dirs=${logDirectory}
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
num.network.threads=1
num.io.threads=2
background.threads=2
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
initial.broker.registration.timeout.ms=30000
controller.quorum.election.timeout.ms=200
controller.quorum.election.backoff.max.ms=200
${secure ? secureProperties(secure) : ''}`
}

function secureProperties({ keystore, keystorePassword, username, password }: SecureListener): string {
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  return `ssl.keystore.type=PKCS12
ssl.keystore.location=${keystore}
ssl.keystore.password=${keystorePassword}
sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=${login} required user_${username}="${password}";
`
}

export const logProperties = `appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=OUT
`

const project = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.2</version></dependency>
  </dependencies>
</project>
`

/** Makes the folder in another place and moves it here when it is whole: that it exists says that it is. */
async function once(folder: string, make: (folder: string) => Promise<unknown>): Promise<void> {
  if (await exists(folder)) return
  const unfinished = `${folder}.${process.pid}`
  await mkdir(unfinished, { recursive: true })
  try {
    await make(unfinished)
    await rename(unfinished, folder)
  } catch (error) {
    // Another process may have been sooner.
    if (!(await exists(folder))) throw error
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
