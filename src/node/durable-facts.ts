/** The document in which a node keeps what it promised and how its last run ended. */
import type { DurableFacts } from '../core/types.js'
import { HotspareError } from '../errors.js'
import type { DocumentStore } from '../interfaces/storage.js'
import { decode, encode } from '../protocol/codec.js'
import { fieldsOf, seqOf, termOfFields, textOf } from '../replication/stream/wire-fields.js'

const documentName = 'meta'
const documentVersion = 1
const stops = ['never', 'crashed', 'active', 'standby'] as const

/** What a node that never ran knows. */
export const noFacts: DurableFacts = { promised: undefined, known: undefined, lastStop: 'never' }

/** Who owns the facts: a storage is never taken over by another node or cluster. */
export interface FactsOwner {
  readonly cluster: string
  readonly nodeId: string
}

/** @throws `STORAGE_FORMAT` when the storage belongs to another node, cluster or a newer version */
export async function readFacts(
  documents: DocumentStore,
  owner: FactsOwner,
): Promise<DurableFacts> {
  const bytes = await documents.read(documentName)
  if (bytes === undefined) return noFacts
  const fields = fieldsOf(decode(bytes), 'meta')
  if (fields.version !== documentVersion) {
    throw new HotspareError('STORAGE_FORMAT', `meta has version ${String(fields.version)}`)
  }
  const cluster = textOf(fields.cluster, 'cluster')
  const nodeId = textOf(fields.nodeId, 'nodeId')
  if (cluster !== owner.cluster || nodeId !== owner.nodeId) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `this storage belongs to node ${nodeId} of cluster ${cluster}, not to ${owner.nodeId} of ${owner.cluster}`,
    )
  }
  const { promised, known, lastStop } = fields
  const stop = stops.find((one) => one === lastStop)
  if (stop === undefined)
    throw new HotspareError('STORAGE_FORMAT', 'meta holds an unknown lastStop')
  return {
    promised: isNothing(promised) ? undefined : termOfFields(promised, 'promised'),
    known: isNothing(known) ? undefined : knownOf(known),
    lastStop: stop,
  }
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null
}

function knownOf(value: unknown): NonNullable<DurableFacts['known']> {
  const fields = fieldsOf(value, 'known')
  return {
    term: termOfFields(fields.term, 'known.term'),
    seq: seqOf(fields.seq, 'known.seq'),
  }
}

export async function writeFacts(
  documents: DocumentStore,
  owner: FactsOwner,
  facts: DurableFacts,
): Promise<void> {
  const { cluster, nodeId } = owner
  const { promised, known, lastStop } = facts
  // `members` is the place of the replicated list, with the position that set it as its version.
  const document = {
    version: documentVersion,
    cluster,
    nodeId,
    promised,
    known,
    lastStop,
    members: null,
  }
  await documents.write(documentName, encode(document))
}
