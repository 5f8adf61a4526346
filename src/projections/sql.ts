import { readdirSync, readFileSync } from 'node:fs'

/** Where the read model's SQL lies, beside `src/` and, when compiled, beside `dist/`. */
export const sqlDirectory = new URL('../../projections-sql/', import.meta.url)

const texts = new Map<string, string>()

/** The text of `projections-sql/<name>.sql`, read once. Throws where there is no such file. */
export function sql(name: string): string {
  const known = texts.get(name)
  if (known !== undefined) return known
  const text = readFileSync(new URL(`${name}.sql`, sqlDirectory), 'utf8')
  texts.set(name, text)
  return text
}

/** The texts of a folder's files, one after the other, in the order of their names. */
export function sqlOf(folder: string): string {
  return readdirSync(new URL(`${folder}/`, sqlDirectory))
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => sql(`${folder}/${file.slice(0, -'.sql'.length)}`))
    .join('\n')
}
