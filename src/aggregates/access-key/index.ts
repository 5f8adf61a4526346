/** The access key: who gave whom which scopes, and when they were taken away. Imports zod and nothing else. */
export * from './commands.ts'
export * from './decide.ts'
export * from './events.ts'
export * from './evolve.ts'
export * from './state.ts'
export * from './values.ts'
