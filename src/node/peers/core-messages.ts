/**
 * Decodes and checks the messages of peers to the core. Shapes and sizes are checked even of peers
 * that know the secret. An unknown type or enumeration value comes from a later version, so the
 * message is ignored without an error.
 */
import { leftEmptyMax } from '../../core/standing/left-empty.js'
import type { CopyFacts, DurableFacts, Role } from '../../core/state/facts.js'
import type { CoreMessage, PeerView } from '../../core/state/messages.js'
import type { History } from '../../history/position.js'
import { fromPeer, optional, wordOf } from '../../protocol/fields.js'
import { membersMax } from '../contract/option-checks.js'

const roles: readonly Role[] = ['stopped', 'discovering', 'restoring', 'standby', 'active']
const stops: readonly DurableFacts['lastStop'][] = ['never', 'crashed', 'active', 'standby']
const refusals = ['hearsActive', 'promisedHigher', 'isActive', 'betterCandidate'] as const
/**
 * Longest id and enumeration value in a message, in UTF-16 units; a longer one is
 * `PROTOCOL_VIOLATION`.
 */
const idLengthMax = 64

const read = fromPeer('a message of the core')

/** An enumeration value of a later version, for which the whole message is ignored. */
class UnknownWord extends Error {}

function oneOf<T extends string>(value: unknown, all: readonly T[], field: string): T {
  const found = wordOf(value, all)
  if (found !== undefined) return found
  throw new UnknownWord(read.text(value, field, idLengthMax))
}

function ids(value: unknown, field: string): string[] {
  return read.texts(value, field, membersMax, idLengthMax)
}

/** A history that is left out is the last one sent on this connection. */
function copyOf(value: unknown, said: History | undefined): CopyFacts {
  const fields = read.fields(value, 'copy')
  const isSaid = said !== undefined && (fields.history === undefined || fields.history === null)
  const extent = isSaid
    ? { history: said, seq: read.count(fields.seq, 'copy.seq') }
    : read.extent(value, 'copy')
  return {
    history: extent.history,
    seq: extent.seq,
    durableSeq: read.count(fields.durableSeq, 'durableSeq'),
    firstSeq: optional(fields.firstSeq, (each) => read.count(each, 'firstSeq')),
    complete: fields.complete === true,
    inSync: optional(fields.inSync, (each) => ids(each, 'inSync')),
    inSyncKnown: fields.inSyncKnown === true,
    forgot: fields.forgot === true,
    ineligible: optional(fields.ineligible, (each) => read.text(each, 'ineligible')),
  }
}

function viewOf(value: unknown, said: History | undefined): PeerView {
  const fields = read.fields(value, 'view')
  return {
    role: oneOf(fields.role, roles, 'role'),
    bootId: read.text(fields.bootId, 'bootId', 256),
    hears: ids(fields.hears, 'hears'),
    cannotDial: optional(fields.cannotDial, (each) => ids(each, 'cannotDial')) ?? [],
    activeTerm: optional(fields.activeTerm, (each) => read.term(each, 'activeTerm')),
    follows: optional(fields.follows, (each) => {
      const follows = read.fields(each, 'follows')
      return {
        id: read.text(follows.id, 'follows.id', idLengthMax),
        term: read.term(follows.term, 'follows.term'),
        heard: follows.heard === true,
      }
    }),
    promised: optional(fields.promised, (each) => read.term(each, 'promised')),
    copy: copyOf(fields.copy, said),
    known: optional(fields.known, (each) => {
      const known = read.fields(each, 'known')
      return {
        term: read.term(known.term, 'known.term'),
        seq: read.count(known.seq, 'known.seq'),
      }
    }),
    outdated: fields.outdated === true,
    lastStop: oneOf(fields.lastStop, stops, 'lastStop'),
    leftEmpty: optional(fields.leftEmpty, (each) =>
      read.list(each, 'leftEmpty', leftEmptyMax).map((term) => read.term(term, 'leftEmpty')),
    ),
    round: optional(fields.round, (each) => read.term(each, 'round')),
    holdsFor: optional(fields.holdsFor, (each) => ids(each, 'holdsFor')),
    fetching: optional(fields.fetching, (each) => read.count(each, 'fetching')),
    late: fields.late === true,
  }
}

/**
 * Reads a message to the core; undefined for one that only a later version understands. `said` is
 * the last history sent on this connection.
 *
 * @throws `PROTOCOL_VIOLATION`
 */
export function coreMessageOf(value: unknown, said?: History): CoreMessage | undefined {
  try {
    return messageOf(value, said)
  } catch (error) {
    if (error instanceof UnknownWord) return undefined
    throw error
  }
}

/**
 * The history in a message of the core, even if the rest of the message is not understood, because
 * its sender leaves the history out from then on; undefined when there is none.
 */
export function historyIn(value: unknown): History | undefined {
  const view = (value as { readonly view?: unknown } | null)?.view
  const copy = (view as { readonly copy?: unknown } | null | undefined)?.copy
  const history = (copy as { readonly history?: unknown } | null | undefined)?.history
  return optional(history, (each) => read.history(each, 'copy'))
}

function messageOf(value: unknown, said: History | undefined): CoreMessage | undefined {
  const fields = read.fields(value, 'message')
  const view = (): PeerView => viewOf(fields.view, said)
  switch (fields.type) {
    case 'heartbeat':
      return { type: 'heartbeat', view: view() }
    case 'query':
      return { type: 'query', queryId: read.count(fields.queryId, 'queryId'), view: view() }
    case 'answer':
      return { type: 'answer', queryId: read.count(fields.queryId, 'queryId'), view: view() }
    case 'promiseRequest':
      return { type: 'promiseRequest', term: read.term(fields.term, 'term'), view: view() }
    case 'promise':
      return {
        type: 'promise',
        term: read.term(fields.term, 'term'),
        refused: optional(fields.refused, (each) => oneOf(each, refusals, 'refused')),
        view: view(),
      }
    case 'handover':
      return {
        type: 'handover',
        from: read.term(fields.from, 'from'),
        offered: read.term(fields.offered, 'offered'),
        seq: read.count(fields.seq, 'seq'),
      }
    case 'handoverRefused':
      return {
        type: 'handoverRefused',
        from: read.term(fields.from, 'from'),
        reason: read.text(fields.reason, 'reason', 4096),
      }
    case 'goodbye':
      return { type: 'goodbye', view: view() }
    default:
      read.text(fields.type, 'type')
      return undefined
  }
}
