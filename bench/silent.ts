import { pino } from 'pino'

/** A log that only complains. */
export const silent = pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }))
