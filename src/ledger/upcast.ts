/** How data of an older schema version is read as today's. What is stored is never rewritten. */
import type { IncidentEventType } from '../aggregates/incident/index.ts'

/** Makes data of version n into data of version n + 1. */
export type Upcast = (data: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

/** By event type: the step from version 1 to 2, from 2 to 3, and so on. So a type's version is one more than its steps. */
export type Upcasts = Readonly<Partial<Record<IncidentEventType, readonly Upcast[]>>>

export const upcasts: Upcasts = {}

export function currentVersion(type: IncidentEventType, table: Upcasts = upcasts): number {
  return (table[type]?.length ?? 0) + 1
}

/** The data as the current version has it; `version` is at most that. */
export function upcast(
  type: IncidentEventType,
  version: number,
  data: Readonly<Record<string, unknown>>,
  table: Upcasts = upcasts,
): Readonly<Record<string, unknown>> {
  return (table[type] ?? []).slice(version - 1).reduce((older, step) => step(older), data)
}
