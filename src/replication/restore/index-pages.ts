/** Pages of the source's index, as they come over the wire. */
import { checkPath } from '../../policy/path-rules.js'
import { fieldsOf, listOf, rowOf, seqOf } from '../../protocol/fields.js'
import type { BulkAnswer } from '../bulk/client.js'
import type { IndexedFile, IndexedRemoval } from '../bulk/messages.js'
import { indexPathsMax, malformed } from '../bulk/messages.js'

/** A part of the listing of what is to be moved. */
export interface Page {
  readonly files: IndexedFile[]
  readonly removed: IndexedRemoval[]
  readonly next: number
  readonly filesTotal: number
  readonly bytesTotal: number
  readonly complete: boolean
  readonly tombstoneFloor: number
}

/** @throws `PROTOCOL_VIOLATION` */
export function pageOf(answer: BulkAnswer): Page {
  const body = fieldsOf(answer.body, 'page')
  const files = listOf(body.files, 'files', indexPathsMax).map((one): IndexedFile => {
    const [path, version, size, mode] = rowOf(one, 'file')
    return {
      path: pathOf(path),
      version: seqOf(version, 'version'),
      size: seqOf(size, 'size'),
      mode: seqOf(mode, 'mode') & 0o777,
    }
  })
  const removed = listOf(body.removed, 'removed', indexPathsMax).map((one): IndexedRemoval => {
    const [path, version] = rowOf(one, 'removal')
    return { path: pathOf(path), version: seqOf(version, 'version') }
  })
  return {
    files,
    removed,
    next: seqOf(body.next, 'next'),
    filesTotal: seqOf(body.filesTotal, 'filesTotal'),
    bytesTotal: seqOf(body.bytesTotal, 'bytesTotal'),
    complete: body.complete === true,
    tombstoneFloor: seqOf(body.tombstoneFloor, 'tombstoneFloor'),
  }
}

function pathOf(value: unknown): string {
  if (typeof value !== 'string') throw malformed()
  return checkPath(value)
}
