/** What the suites about recovery share. */
import type { Change } from '../../src/changes/change.js'
import type { MemoryStorage } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { type EntryMaker, Model, owner, randomChange, type startNode } from './support.js'

export const rounds = 60

/**
 * A stretch of a node's life: random entries, random waits and checkpoints. Answers the changes
 * appended.
 */
export async function live(
  node: Awaited<ReturnType<typeof startNode>>,
  random: SeededRandom,
  changes: Change[],
  maker: EntryMaker,
): Promise<void> {
  const { copy } = node
  const model = Model.after(changes)
  for (let left = random.below(40); left > 0; left -= 1) {
    const batch: Change[] = []
    for (let size = random.below(4) + 1; size > 0; size -= 1)
      batch.push(randomChange(random, model))
    copy.append(maker.batch(...batch))
    changes.push(...batch)
    const what = random.number()
    if (what < 0.1) await copy.checkpoint()
    else if (what < 0.2) await copy.settle()
    else if (what < 0.4) await copy.flush()
    else if (what < 0.6) await Promise.resolve()
    else if (what < 0.65) void copy.checkpoint().catch(() => undefined)
  }
}

export async function breakIt(storage: MemoryStorage, what: 'index' | 'checkpoint'): Promise<void> {
  const random = new SeededRandom(3)
  if (what === 'checkpoint') storage.flipBit({ kind: 'document', name: 'checkpoint' }, random)
  else {
    const raw = await storage.open(owner())
    const [log] = await raw.logs.list('index')
    await raw.close()
    storage.flipBit({ kind: 'log', area: 'index', name: log?.name ?? '' }, random)
  }
}
