/** Checks what peers say to the core. A peer that knows the secret is still not believed about shapes and sizes. */
import type { CopyFacts, CoreMessage, DurableFacts, PeerView, Role } from '../core/types.js'
import { HotspareError } from '../errors.js'
import {
  extentOf,
  fieldsOf,
  listOf,
  seqOf,
  termOfFields,
  textOf,
} from '../replication/stream/wire-fields.js'
import { membersMax } from './option-checks.js'

const roles: readonly Role[] = ['stopped', 'discovering', 'restoring', 'standby', 'active']
const stops: readonly DurableFacts['lastStop'][] = ['never', 'crashed', 'active', 'standby']
const refusals = ['hearsActive', 'promisedHigher', 'isActive', 'betterCandidate'] as const
const idLengthMax = 64

function bad(field: string): HotspareError {
  return new HotspareError(
    'PROTOCOL_VIOLATION',
    `the field ${field} of a control message is malformed`,
  )
}

function oneOf<T extends string>(value: unknown, all: readonly T[], field: string): T {
  const found = all.find((one) => one === value)
  if (found === undefined) throw bad(field)
  return found
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value)
}

function ids(value: unknown, field: string): string[] {
  return listOf(value, field, membersMax).map((id) => textOf(id, field, idLengthMax))
}

function copyOf(value: unknown): CopyFacts {
  const fields = fieldsOf(value, 'copy')
  return {
    ...extentOf(value, 'copy'),
    durableSeq: seqOf(fields.durableSeq, 'durableSeq'),
    firstSeq: optional(fields.firstSeq, (each) => seqOf(each, 'firstSeq')),
    complete: fields.complete === true,
    inSync: optional(fields.inSync, (each) => ids(each, 'inSync')),
    inSyncKnown: fields.inSyncKnown === true,
    forgot: fields.forgot === true,
    ineligible: optional(fields.ineligible, (each) => textOf(each, 'ineligible')),
  }
}

function viewOf(value: unknown): PeerView {
  const fields = fieldsOf(value, 'view')
  return {
    role: oneOf(fields.role, roles, 'role'),
    bootId: textOf(fields.bootId, 'bootId', 256),
    hears: ids(fields.hears, 'hears'),
    activeTerm: optional(fields.activeTerm, (each) => termOfFields(each, 'activeTerm')),
    follows: optional(fields.follows, (each) => {
      const follows = fieldsOf(each, 'follows')
      return {
        id: textOf(follows.id, 'follows.id', idLengthMax),
        term: termOfFields(follows.term, 'follows.term'),
        heard: follows.heard === true,
      }
    }),
    promised: optional(fields.promised, (each) => termOfFields(each, 'promised')),
    copy: copyOf(fields.copy),
    known: optional(fields.known, (each) => {
      const known = fieldsOf(each, 'known')
      return {
        term: termOfFields(known.term, 'known.term'),
        seq: seqOf(known.seq, 'known.seq'),
      }
    }),
    outdated: fields.outdated === true,
    lastStop: oneOf(fields.lastStop, stops, 'lastStop'),
    round: optional(fields.round, (each) => termOfFields(each, 'round')),
    holdsFor: optional(fields.holdsFor, (each) => ids(each, 'holdsFor')),
    fetching: optional(fields.fetching, (each) => seqOf(each, 'fetching')),
    late: fields.late === true,
  }
}

/** Reads a message to the core. @throws `PROTOCOL_VIOLATION` */
export function coreMessageOf(value: unknown): CoreMessage {
  const fields = fieldsOf(value, 'message')
  const view = (): PeerView => viewOf(fields.view)
  switch (fields.type) {
    case 'heartbeat':
      return { type: 'heartbeat', view: view() }
    case 'query':
      return { type: 'query', queryId: seqOf(fields.queryId, 'queryId'), view: view() }
    case 'answer':
      return { type: 'answer', queryId: seqOf(fields.queryId, 'queryId'), view: view() }
    case 'promiseRequest':
      return { type: 'promiseRequest', term: termOfFields(fields.term, 'term'), view: view() }
    case 'promise':
      return {
        type: 'promise',
        term: termOfFields(fields.term, 'term'),
        refused: optional(fields.refused, (each) => oneOf(each, refusals, 'refused')),
        view: view(),
      }
    case 'handover':
      return {
        type: 'handover',
        from: termOfFields(fields.from, 'from'),
        offered: termOfFields(fields.offered, 'offered'),
        seq: seqOf(fields.seq, 'seq'),
      }
    case 'handoverRefused':
      return {
        type: 'handoverRefused',
        from: termOfFields(fields.from, 'from'),
        reason: textOf(fields.reason, 'reason', 4096),
      }
    case 'goodbye':
      return { type: 'goodbye', view: view() }
    default:
      throw bad('type')
  }
}
