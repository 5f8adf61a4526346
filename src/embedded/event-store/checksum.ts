import { crc32 } from 'node:zlib'

/** CRC-32 of an event's id, metadata and data, which SQLite, having no checksums of its own, could return altered. */
export function checksum(id: Uint8Array, metadata: Uint8Array, data: Uint8Array): number {
  return crc32(data, crc32(metadata, crc32(id)))
}
