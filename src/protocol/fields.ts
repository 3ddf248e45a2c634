/** Looks at the fields of decoded messages: a peer is not believed about their types and sizes. */
import { HotspareError } from '../errors.js'
import type { Extent, History, HistoryTerm, Term } from '../history/position.js'
import { epochMax, historyTermsMax } from '../history/position.js'

/** A field is not what it should be. */
export function bad(field: string): HotspareError {
  return new HotspareError(
    'PROTOCOL_VIOLATION',
    `the field ${field} of a replication message is malformed`,
  )
}

/** A decoded value whose fields are still to be looked at. */
export type Fields = Readonly<Record<string, unknown>>

export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(name)
  return value as Fields
}

export function seqOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(name)
  return value
}

export function textOf(value: unknown, name: string, lengthMax = 1024): string {
  if (typeof value !== 'string' || value.length > lengthMax) throw bad(name)
  return value
}

export function listOf(value: unknown, name: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > lengthMax) throw bad(name)
  return value
}

/**
 * Fields that a row of a list may hold, with what later versions add at its end; more are
 * `PROTOCOL_VIOLATION`.
 */
const rowLengthMax = 16

/** A row of a list: a few values, whose places say what they are. */
export function rowOf(value: unknown, name: string): readonly unknown[] {
  return listOf(value, name, rowLengthMax)
}

/** A term that a peer names. */
export function termOfFields(value: unknown, name: string): Term {
  const term = storedTermOf(value, name)
  if (term.epoch > epochMax) throw bad(`${name}.epoch`)
  return term
}

/**
 * A term of this node's own records: one above the highest that a peer may name is read again, too.
 */
export function storedTermOf(value: unknown, name: string): Term {
  const fields = fieldsOf(value, name)
  return {
    epoch: seqOf(fields.epoch, `${name}.epoch`),
    nodeId: textOf(fields.nodeId, `${name}.nodeId`, 256),
    bootId: textOf(fields.bootId, `${name}.bootId`, 256),
  }
}

/** A history, checked to rise in epochs and positions. */
export function historyOf(value: unknown, name: string): History {
  const terms = listOf(value, name, historyTermsMax).map((one): HistoryTerm => {
    const firstSeq = seqOf(fieldsOf(one, name).firstSeq, `${name}.firstSeq`)
    return { ...termOfFields(one, name), firstSeq }
  })
  for (let at = 1; at < terms.length; at += 1) {
    const before = terms[at - 1]
    const term = terms[at]
    if (before === undefined || term === undefined) continue
    if (term.epoch <= before.epoch || term.firstSeq <= before.firstSeq) throw bad(name)
  }
  return terms
}

export function extentOf(value: unknown, name: string): Extent {
  const fields = fieldsOf(value, name)
  return { history: historyOf(fields.history, name), seq: seqOf(fields.seq, `${name}.seq`) }
}
