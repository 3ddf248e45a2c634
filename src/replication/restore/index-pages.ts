/** Reads pages of the source's index. */

import type { NamedFile, VersionedPath } from '../../copy/files/types.js'
import { checkPath } from '../../policy/path-rules.js'
import { fromPeer } from '../../protocol/fields.js'
import type { BulkAnswer } from '../bulk/client.js'
import { indexPathsMax } from '../bulk/messages.js'

/** A page of the listing of files to transfer and paths to remove. */
export interface IndexPage {
  readonly files: NamedFile[]
  readonly removed: VersionedPath[]
  readonly next: number
  readonly filesTotal: number
  readonly bytesTotal: number
  readonly complete: boolean
  readonly tombstoneFloor: number
}

const read = fromPeer('a page of the index')

/** @throws `PROTOCOL_VIOLATION` */
export function pageOf(answer: BulkAnswer): IndexPage {
  const body = read.fields(answer.body, 'page')
  const files = read.list(body.files, 'files', indexPathsMax).map((one): NamedFile => {
    const [path, version, size, mode] = read.row(one, 'file')
    return {
      path: pathOf(path),
      version: read.count(version, 'version'),
      size: read.count(size, 'size'),
      mode: read.count(mode, 'mode') & 0o777,
    }
  })
  const removed = read.list(body.removed, 'removed', indexPathsMax).map((one): VersionedPath => {
    const [path, version] = read.row(one, 'removal')
    return { path: pathOf(path), version: read.count(version, 'version') }
  })
  return {
    files,
    removed,
    next: read.count(body.next, 'next'),
    filesTotal: read.count(body.filesTotal, 'filesTotal'),
    bytesTotal: read.count(body.bytesTotal, 'bytesTotal'),
    complete: body.complete === true,
    tombstoneFloor: read.count(body.tombstoneFloor, 'tombstoneFloor'),
  }
}

function pathOf(value: unknown): string {
  return checkPath(read.text(value, 'path', Number.POSITIVE_INFINITY))
}
