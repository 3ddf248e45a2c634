/**
 * The header of a document on disk, little endian:
 *
 * | offset | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | `HSPR` |
 * | 4 | 2 | format version |
 * | 6 | 1 | kind |
 * | 7 | 1 | 0 |
 * | 8 | 4 | length of the value |
 * | 12 | 4 | CRC-32 of the first twelve bytes and the value |
 */

import { crc32 } from 'node:zlib'
import { HotspareError } from '../../../errors.js'
import { documentBytesMax } from '../../limits.js'

/** Bytes before the value. */
export const headerBytes = 16
const formatVersion = 1
const magic: Buffer = Buffer.from('HSPR')

/** The kinds of file with this header. */
export type HeaderKind = 'document' | 'format'
const kinds: Readonly<Record<HeaderKind, number>> = { document: 1, format: 2 }

/** The bytes of a file that holds `value`. */
export function encodeValue(kind: HeaderKind, value: Uint8Array): Buffer {
  const file = Buffer.allocUnsafe(headerBytes + value.byteLength)
  magic.copy(file)
  file.writeUInt16LE(formatVersion, 4)
  file.writeUInt8(kinds[kind], 6)
  file.writeUInt8(0, 7)
  file.writeUInt32LE(value.byteLength, 8)
  file.set(value, headerBytes)
  file.writeUInt32LE(checksum(file), 12)
  return file
}

/**
 * The value in the bytes of a file.
 *
 * @throws `STORAGE_FORMAT` when a newer version wrote it, `STORAGE_CORRUPT` when it is damaged
 */
export function decodeValue(kind: HeaderKind, file: Buffer, path: string): Uint8Array {
  if (!startsLikeValue(file)) throw corrupt(path, 'it does not begin like a file of the storage')
  const version = file.readUInt16LE(4)
  if (version !== formatVersion) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `${JSON.stringify(path)} has format ${version}, and this version knows ${formatVersion}`,
      { details: { path, actual: version, limit: formatVersion } },
    )
  }
  const length = file.byteLength - headerBytes
  if (file.readUInt32LE(8) !== length || length > documentBytesMax) {
    throw corrupt(path, `it says ${file.readUInt32LE(8)} bytes and has ${length}`)
  }
  if (file.readUInt32LE(12) !== checksum(file)) throw corrupt(path, 'its checksum does not match')
  if (file.readUInt8(6) !== kinds[kind]) throw corrupt(path, `it is no ${kind}`)
  return file.subarray(headerBytes)
}

/** Whether a file of which these are the first bytes has this header. */
export function startsLikeValue(start: Buffer): boolean {
  return start.byteLength >= headerBytes && magic.equals(start.subarray(0, magic.byteLength))
}

function checksum(file: Buffer): number {
  return crc32(file.subarray(headerBytes), crc32(file.subarray(0, 12)))
}

function corrupt(path: string, why: string): HotspareError {
  return new HotspareError('STORAGE_CORRUPT', `${JSON.stringify(path)} is damaged: ${why}`, {
    details: { path },
  })
}
