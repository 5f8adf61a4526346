import type { CacheWriter } from '../../src/projections/read-model.ts'

/** For projections of which nothing is cached. */
export const noCache: CacheWriter = {
  takeOver: async () => {},
  withhold: async () => {},
  refresh: async () => {},
  suspend: async () => {},
  resume: async () => {},
}
