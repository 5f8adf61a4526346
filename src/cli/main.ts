/** The command line's entry: the process's own streams and signals, and the parts of the program that commands ask for. */
import { join, resolve } from 'node:path'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { type Config, readConfig } from '../config.ts'
import { interruption } from '../interruption.ts'
import type { Logger } from '../logger.ts'
import { version } from '../version.ts'
import { exitCode } from './exit-code.ts'
import { runCommandLine, type Settings } from './program.ts'

process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: { out: endurable(process.stdout), err: endurable(process.stderr) },
  version,
  interruption: interruption(exitCode.interrupted),
  async serve(settings, stop) {
    const [{ serve }, { openLogger }] = await Promise.all([import('../main.ts'), import('../logger.ts')])
    const config = configWith(settings)
    await serve(config, openLogger(config), stop)
  },
  async openRuntime(settings) {
    const config = configWith(settings)
    const { openRuntime } = await import('../main.ts')
    return openRuntime(config, openCommandLog(config))
  },
  async openRepublication(settings) {
    const config = configWith(settings)
    const { openRepublicationOf } = await import('../main.ts')
    return openRepublicationOf(config, openCommandLog(config))
  },
  configuredService(settings) {
    const { port, accessKey } = configWith(settings)
    return { url: new URL(`http://127.0.0.1:${port}`), accessKey: accessKey.value }
  },
  auditFile: (settings) => join(configWith(settings).dataDir, 'audit.log'),
  async rebuildReadModel(options) {
    const { rebuild } = await import('../projections/rebuild.ts')
    return rebuild(options)
  },
  async loadCopy() {
    return import('../ledger/copy/copy.ts')
  },
  async runEventStoreNode(options, signal, onListening) {
    const { runEventStoreNode } = await import('../embedded/event-store/node.ts')
    return runEventStoreNode(options, signal, onListening)
  },
})

function configWith({ dataDir }: Settings): Config {
  const config = readConfig()
  return dataDir === undefined ? config : { ...config, dataDir: resolve(dataDir) }
}

/** Warnings only, and beside the answers, not among them. */
function openCommandLog({ logLevel }: Config): Logger {
  const level = logLevel === 'info' ? 'warn' : logLevel
  return pino({ level, base: null }, pretty({ destination: 2, sync: true, ignore: 'time', singleLine: true }))
}

/** A reader that leaves early, as `head` does, ends no command: an import would stay half done. */
function endurable(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  return stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}
