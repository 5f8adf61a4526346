import { LRUCache } from 'lru-cache'
import type { Announced, Announcements } from '../projections/read-model.ts'

export type Pages = (list: string, build: () => Promise<string>) => Promise<Buffer>

/**
 * Serialized pages of lists, kept while what is announced stays the same, and built once for all who ask at the same time. A
 * page may show more than was announced when it was asked for, never less. While it is not certain what is announced,
 * every page is built.
 */
export function pageCache(announcements: Pick<Announcements, 'current'>, maximumBytes: number): Pages {
  const kept = new LRUCache<string, Buffer>({
    maxSize: maximumBytes,
    sizeCalculation: (page) => page.length + 256,
  })
  const building = new Map<string, Promise<Buffer>>()
  let at: Announced | undefined

  return async (list, build) => {
    const announced = announcements.current()
    if (!announced) return Buffer.from(await build())
    if (announced.index !== at?.index || announced.generation !== at.generation) {
      kept.clear()
      building.clear()
    }
    at = announced
    return kept.get(list) ?? building.get(list) ?? start(list, build)
  }

  function start(list: string, build: () => Promise<string>): Promise<Buffer> {
    const page = build().then((json) => Buffer.from(json))
    building.set(list, page)
    // A page that was overtaken while it was built is nobody's any more: another one may be under way in its place.
    const settled = (keep?: Buffer) => {
      if (building.get(list) !== page) return
      building.delete(list)
      if (keep) kept.set(list, keep)
    }
    page.then(settled, () => settled())
    return page
  }
}
