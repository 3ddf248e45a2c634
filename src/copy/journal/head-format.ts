/**
 * How facts, histories and positions are written into documents and headers, and believed when
 * read.
 */
import { HotspareError } from '../../errors.js'
import type { History, HistoryTerm } from '../../history/position.js'
import { historyTermsMax } from '../../history/position.js'
import type { JournalFacts } from './head.js'

function malformed(field: string): HotspareError {
  return new HotspareError('STORAGE_CORRUPT', `the field ${field} of a stored record is malformed`)
}

/** The value as an object with fields. */
export function fieldsOf(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(field)
  return value as Record<string, unknown>
}

export function listOf(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(field)
  return value
}

export function numberOf(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw malformed(field)
  return value
}

export function countOf(value: unknown, field: string): number {
  const count = numberOf(value, field)
  if (!Number.isSafeInteger(count)) throw malformed(field)
  return count
}

export function textOf(value: unknown, field: string): string {
  if (typeof value !== 'string') throw malformed(field)
  return value
}

export function textsOf(value: unknown, field: string): string[] {
  return listOf(value, field).map((one) => textOf(one, field))
}

export function writeHistory(history: History): unknown[] {
  return history.map((term) => [term.epoch, term.nodeId, term.bootId, term.firstSeq])
}

export function readHistory(value: unknown): History {
  const terms = listOf(value, 'history').map((one): HistoryTerm => {
    const fields = listOf(one, 'history')
    return {
      epoch: countOf(fields[0], 'epoch'),
      nodeId: textOf(fields[1], 'nodeId'),
      bootId: textOf(fields[2], 'bootId'),
      firstSeq: countOf(fields[3], 'firstSeq'),
    }
  })
  if (terms.length > historyTermsMax) throw malformed('history')
  return terms
}

export function writeFacts(facts: JournalFacts): Record<string, unknown> {
  return {
    history: writeHistory(facts.history),
    seq: facts.seq,
    ackedSeq: facts.ackedSeq,
    inSync: facts.inSync === undefined ? null : [...facts.inSync],
  }
}

export function readFacts(value: unknown): JournalFacts {
  const fields = fieldsOf(value, 'facts')
  const { inSync } = fields
  return {
    history: readHistory(fields.history),
    seq: countOf(fields.seq, 'seq'),
    ackedSeq: countOf(fields.ackedSeq, 'ackedSeq'),
    inSync: inSync === null || inSync === undefined ? undefined : textsOf(inSync, 'inSync'),
  }
}
