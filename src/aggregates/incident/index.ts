/** The incident: commands in, events out, and the state that follows from them. Imports zod and nothing else. */
export * from './commands.ts'
export * from './decide.ts'
export * from './events.ts'
export * from './evolve.ts'
export * from './personal-data.ts'
export * from './state.ts'
export * from './transitions.ts'
export * from './values.ts'
