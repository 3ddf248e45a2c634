/** Checks intents that another node forwards. */
import { HotspareError } from '../errors.js'
import { checkPath } from '../policy/path-rules.js'
import type { Fields } from '../protocol/fields.js'
import { fieldsOf, listOf, seqOf, textOf } from '../protocol/fields.js'
import type { SingleChange } from './change.js'
import { transactionChangesMax } from './decode-change.js'
import type { ListExpectation, ReadExpectation, WriteIntent } from './intent.js'

function bad(field: string): HotspareError {
  return new HotspareError(
    'PROTOCOL_VIOLATION',
    `the field ${field} of a forwarded write is malformed`,
  )
}

function bytesOf(fields: Fields): Uint8Array {
  const { bytes } = fields
  if (!(bytes instanceof Uint8Array)) throw bad('bytes')
  return bytes
}

function target(fields: Fields): { className: string; path: string } {
  return {
    className: textOf(fields.className, 'className', 256),
    path: checkPath(textOf(fields.path, 'path')),
  }
}

function singleOf(value: unknown): SingleChange {
  const fields = fieldsOf(value, 'change')
  switch (fields.kind) {
    case 'put': {
      const mode = seqOf(fields.mode, 'mode') & 0o777
      return { kind: 'put', ...target(fields), mode, bytes: bytesOf(fields), blob: undefined }
    }
    case 'patch': {
      const offset = seqOf(fields.offset, 'offset')
      return { kind: 'patch', ...target(fields), offset, bytes: bytesOf(fields), blob: undefined }
    }
    case 'truncate':
      return { kind: 'truncate', ...target(fields), size: seqOf(fields.size, 'size') }
    case 'remove':
      return { kind: 'remove', ...target(fields) }
    case 'update':
      return {
        kind: 'update',
        className: textOf(fields.className, 'className', 256),
        value: fields.value,
      }
    default:
      throw bad('kind')
  }
}

function readOf(value: unknown): ReadExpectation {
  const fields = fieldsOf(value, 'read')
  return {
    path: checkPath(textOf(fields.path, 'path')),
    version: seqOf(fields.version, 'version'),
  }
}

function listedOf(value: unknown): ListExpectation {
  const fields = fieldsOf(value, 'list')
  const paths = listOf(fields.paths, 'paths', 100_000).map((path) => textOf(path, 'path'))
  return { prefix: textOf(fields.prefix, 'prefix'), paths }
}

/**
 * Reads an intent; those that name blobs are not forwarded. @throws `PROTOCOL_VIOLATION`,
 * `PATH_INVALID`
 */
export function intentOf(value: unknown): WriteIntent {
  const fields = fieldsOf(value, 'intent')
  if (fields.kind === 'append') {
    return { kind: 'append', ...target(fields), bytes: bytesOf(fields), blob: undefined }
  }
  if (fields.kind !== 'commit' && fields.kind !== 'transaction') return singleOf(value)
  const changes = listOf(fields.changes, 'changes', transactionChangesMax).map(singleOf)
  if (fields.kind === 'transaction') return { kind: 'transaction', changes }
  const reads = listOf(fields.reads, 'reads', transactionChangesMax).map(readOf)
  const lists = listOf(fields.lists, 'lists', transactionChangesMax).map(listedOf)
  return { kind: 'commit', changes, reads, lists }
}
