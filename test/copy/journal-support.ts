/** What the suites about the journal share. */
import type { Entry } from '../../src/changes/entry.js'
import type { JournalReader } from '../../src/copy/journal/reader.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { type EntryMaker, put, update } from './support.js'

export const bytesOf = (entries: readonly Entry[]): string[] =>
  entries.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))

export async function readAll(reader: JournalReader, bytesMax = 700): Promise<Entry[]> {
  const entries: Entry[] = []
  for (;;) {
    const next = await reader.next(bytesMax)
    if (next.length === 0) return entries
    entries.push(...next)
  }
}

/** Many entries over many segments, far more than the tail holds. */
export function fill(
  copy: LocalCopy,
  maker: EntryMaker,
  random: SeededRandom,
  count: number,
): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < count; at += 1) {
    const kind = random.number()
    if (kind < 0.1) entries.push(maker.inSync([`m${at}`]))
    else if (kind < 0.2) {
      maker.term = { ...maker.term, epoch: maker.term.epoch + 1 }
      entries.push(maker.open())
    } else {
      const changes = [update('x', 1), put('docs/a', 'y'.repeat(random.below(900)))]
      entries.push(maker.batch(...changes.slice(random.below(2))))
    }
  }
  for (const entry of entries) copy.append(entry)
  return entries
}

export async function retryUntil(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

export const pad = (length: number): string => 'p'.repeat(length)
