import type { Status } from './values.ts'

/** Which status may follow which. `resolved → in_progress` is a reopening; `closed` is final. */
const legal: Readonly<Record<Status, readonly Status[]>> = {
  new: ['in_progress', 'on_hold', 'resolved'],
  in_progress: ['on_hold', 'resolved'],
  on_hold: ['in_progress', 'resolved'],
  resolved: ['in_progress', 'closed'],
  closed: [],
}

export function allowedFrom(status: Status): readonly Status[] {
  return legal[status]
}

export function isReopening(from: Status, to: Status): boolean {
  return from === 'resolved' && to === 'in_progress'
}
