/**
 * The checkpoint document, which records up to where tree, index and states are durable. Recovery
 * begins there.
 */
import { HotspareError } from '../../errors.js'
import type { DocumentStore } from '../../interfaces/storage.js'
import { encode } from '../../protocol/codec.js'
import { fromDisk } from '../../protocol/fields.js'
import type { IndexPlace } from '../files/index-log.js'
import { readFacts, writeFacts } from '../journal/head-format.js'
import type { JournalPlace } from '../journal/scan.js'

export interface CheckpointDocument {
  readonly place: JournalPlace
  readonly index: IndexPlace
  readonly tombstoneFloor: number
  /** For each known state class: the change up to which its state is stored. */
  readonly states: ReadonlyMap<string, number>
  readonly strangers: readonly string[]
  /** Blobs that entries up to here name and that are still in the journal. */
  readonly blobs: readonly { readonly id: string; readonly seq: number; readonly bytes: number }[]
}

export const checkpointName = 'checkpoint'
export const checkpointFormatVersion = 1
/**
 * The longest checkpoint; a longer one is read as damaged. It names all blobs of the journal, which
 * may be as many as fit into the journal's limit.
 */
const checkpointBytesMax = 1024 * 1024 * 1024

const read = fromDisk('a checkpoint')

export function encodeCheckpoint(document: CheckpointDocument): Uint8Array {
  const { place, index } = document
  return encode({
    version: checkpointFormatVersion,
    segment: place.segment,
    offset: place.offset,
    facts: writeFacts(place.facts),
    indexLog: index.log,
    indexBytes: index.bytes,
    tombstoneFloor: document.tombstoneFloor,
    states: [...document.states],
    strangers: [...document.strangers],
    blobs: document.blobs.map(({ id, seq, bytes }) => [id, seq, bytes]),
  })
}

export function decodeCheckpoint(bytes: Uint8Array): CheckpointDocument {
  const fields = read.fields(read.decode(bytes, { bytesMax: checkpointBytesMax }), 'checkpoint')
  if (fields.version !== checkpointFormatVersion) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `a checkpoint has format version ${String(fields.version)}`,
    )
  }
  const states = read.list(fields.states, 'states').map((one): [string, number] => {
    const [className, seq] = read.list(one, 'state')
    return [read.text(className, 'state'), read.count(seq, 'state')]
  })
  return {
    place: {
      segment: read.text(fields.segment, 'segment'),
      offset: read.count(fields.offset, 'offset'),
      facts: readFacts(read, fields.facts),
    },
    index: {
      log: read.text(fields.indexLog, 'indexLog'),
      bytes: read.count(fields.indexBytes, 'indexBytes'),
    },
    tombstoneFloor: read.count(fields.tombstoneFloor, 'tombstoneFloor'),
    states: new Map(states),
    strangers: read.texts(fields.strangers, 'strangers'),
    blobs: read.list(fields.blobs, 'blobs').map((one) => {
      const [id, seq, size] = read.list(one, 'blob')
      return {
        id: read.text(id, 'id'),
        seq: read.count(seq, 'seq'),
        bytes: read.count(size, 'bytes'),
      }
    }),
  }
}

export async function readCheckpoint(
  documents: DocumentStore,
): Promise<CheckpointDocument | undefined> {
  const bytes = await documents.read(checkpointName)
  return bytes === undefined ? undefined : decodeCheckpoint(bytes)
}
