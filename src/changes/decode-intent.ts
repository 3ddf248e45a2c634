/** Decodes and checks write intents that another node forwards. */
import { checkPath } from '../policy/path-rules.js'
import { type Fields, fromPeer } from '../protocol/fields.js'
import type { SingleChange } from './change.js'
import { transactionChangesMax } from './decode-change.js'
import type { ListExpectation, ReadExpectation, WriteIntent } from './intent.js'

const read = fromPeer('a forwarded write')

function target(fields: Fields): { className: string; path: string } {
  return {
    className: read.text(fields.className, 'className', 256),
    path: checkPath(read.text(fields.path, 'path')),
  }
}

function contentOf(fields: Fields): { bytes: Uint8Array; blob: undefined } {
  return { bytes: read.bytes(fields.bytes, 'bytes'), blob: undefined }
}

function singleOf(value: unknown): SingleChange {
  const fields = read.fields(value, 'change')
  switch (fields.kind) {
    case 'put': {
      const mode = read.count(fields.mode, 'mode') & 0o777
      return { kind: 'put', ...target(fields), mode, ...contentOf(fields) }
    }
    case 'patch': {
      const offset = read.count(fields.offset, 'offset')
      return { kind: 'patch', ...target(fields), offset, ...contentOf(fields) }
    }
    case 'truncate':
      return { kind: 'truncate', ...target(fields), size: read.count(fields.size, 'size') }
    case 'remove':
      return { kind: 'remove', ...target(fields) }
    case 'update':
      return {
        kind: 'update',
        className: read.text(fields.className, 'className', 256),
        value: fields.value,
      }
    default:
      throw read.bad('kind')
  }
}

function readOf(value: unknown): ReadExpectation {
  const fields = read.fields(value, 'read')
  return {
    path: checkPath(read.text(fields.path, 'path')),
    version: read.count(fields.version, 'version'),
  }
}

function listedOf(value: unknown): ListExpectation {
  const fields = read.fields(value, 'list')
  const paths = read.texts(fields.paths, 'paths', 100_000)
  return { prefix: read.text(fields.prefix, 'prefix'), paths }
}

/**
 * Decodes an intent. An intent never names a blob, because content that large is not forwarded.
 * @throws `PROTOCOL_VIOLATION`, `PATH_INVALID`
 */
export function intentOf(value: unknown): WriteIntent {
  const fields = read.fields(value, 'intent')
  if (fields.kind === 'append') return { kind: 'append', ...target(fields), ...contentOf(fields) }
  if (fields.kind !== 'commit' && fields.kind !== 'transaction') return singleOf(value)
  const changes = read.list(fields.changes, 'changes', transactionChangesMax).map(singleOf)
  if (fields.kind === 'transaction') return { kind: 'transaction', changes }
  const reads = read.list(fields.reads, 'reads', transactionChangesMax).map(readOf)
  const lists = read.list(fields.lists, 'lists', transactionChangesMax).map(listedOf)
  return { kind: 'commit', changes, reads, lists }
}
