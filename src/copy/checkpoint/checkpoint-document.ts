/** The document that says up to where tree, index and states are durable; recovery begins there. */
import { HotspareError } from '../../errors.js'
import type { DocumentStore } from '../../interfaces/storage.js'
import { decode, encode } from '../../protocol/codec.js'
import type { IndexPlace } from '../files/index-log.js'
import {
  countOf,
  fieldsOf,
  listOf,
  readFacts,
  textOf,
  textsOf,
  writeFacts,
} from '../journal/head-format.js'
import type { JournalPlace } from '../journal/scan.js'

export interface CheckpointDocument {
  readonly place: JournalPlace
  readonly index: IndexPlace
  readonly tombstoneFloor: number
  /** For each state class that was known: what is stored of it is the state after this change. */
  readonly states: ReadonlyMap<string, number>
  readonly strangers: readonly string[]
  /** Blobs named by records up to here that are still in the journal. */
  readonly blobs: readonly { readonly id: string; readonly seq: number; readonly bytes: number }[]
}

export const checkpointName = 'checkpoint'
export const checkpointFormatVersion = 1
/**
 * Longest checkpoint; one beyond it is read as damaged. It names all blobs of a journal, which may
 * be as many as the journal's limit has room for.
 */
const checkpointBytesMax = 1024 * 1024 * 1024

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
  const fields = fieldsOf(decode(bytes, { bytesMax: checkpointBytesMax }), 'checkpoint')
  if (fields.version !== checkpointFormatVersion) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `a checkpoint has format version ${String(fields.version)}`,
    )
  }
  const states = listOf(fields.states, 'states').map((one): [string, number] => {
    const state = listOf(one, 'state')
    return [textOf(state[0], 'state'), countOf(state[1], 'state')]
  })
  return {
    place: {
      segment: textOf(fields.segment, 'segment'),
      offset: countOf(fields.offset, 'offset'),
      facts: readFacts(fields.facts),
    },
    index: {
      log: textOf(fields.indexLog, 'indexLog'),
      bytes: countOf(fields.indexBytes, 'indexBytes'),
    },
    tombstoneFloor: countOf(fields.tombstoneFloor, 'tombstoneFloor'),
    states: new Map(states),
    strangers: textsOf(fields.strangers, 'strangers'),
    blobs: listOf(fields.blobs, 'blobs').map((one) => {
      const blob = listOf(one, 'blob')
      return {
        id: textOf(blob[0], 'id'),
        seq: countOf(blob[1], 'seq'),
        bytes: countOf(blob[2], 'bytes'),
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
