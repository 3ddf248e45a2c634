/** Encodes the head of a journal and its history for documents and headers, and decodes them. */
import type { History, HistoryTerm } from '../../history/position.js'
import { historyTermsMax } from '../../history/position.js'
import { type FieldReader, optional } from '../../protocol/fields.js'
import type { JournalFacts } from './head.js'

export function writeHistory(history: History): unknown[] {
  return history.map((term) => [term.epoch, term.nodeId, term.bootId, term.firstSeq])
}

export function readHistory(read: FieldReader, value: unknown): History {
  return read.list(value, 'history', historyTermsMax).map((one): HistoryTerm => {
    const [epoch, nodeId, bootId, firstSeq] = read.list(one, 'history')
    return {
      epoch: read.count(epoch, 'epoch'),
      nodeId: read.text(nodeId, 'nodeId'),
      bootId: read.text(bootId, 'bootId'),
      firstSeq: read.count(firstSeq, 'firstSeq'),
    }
  })
}

export function writeFacts(facts: JournalFacts): Record<string, unknown> {
  return {
    history: writeHistory(facts.history),
    seq: facts.seq,
    ackedSeq: facts.ackedSeq,
    inSync: facts.inSync === undefined ? null : [...facts.inSync],
  }
}

export function readFacts(read: FieldReader, value: unknown): JournalFacts {
  const fields = read.fields(value, 'facts')
  return {
    history: readHistory(read, fields.history),
    seq: read.count(fields.seq, 'seq'),
    ackedSeq: read.count(fields.ackedSeq, 'ackedSeq'),
    inSync: optional(fields.inSync, (members) => read.texts(members, 'inSync')),
  }
}
