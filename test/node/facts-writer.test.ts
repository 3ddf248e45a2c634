import { describe, expect, it } from 'vitest'
import type { DurableFacts } from '../../src/core/state/facts.js'
import { FactsWriter } from '../../src/node/roles/hard-state-writer.js'
import { TestClock } from '../support/clock.js'

const factsOf = (lastStop: DurableFacts['lastStop']): DurableFacts => ({
  promised: undefined,
  known: undefined,
  lastStop,
})

/** A writer on a disk that takes facts when it is told to. */
function onDisk() {
  const written: string[] = []
  const persisted: number[] = []
  const errors: unknown[] = []
  const tried: unknown[] = []
  const ends: ((error?: Error) => void)[] = []
  const writer = new FactsWriter(
    {
      options: { clock: new TestClock(), heartbeatMs: 200 },
      writeFacts: ({ lastStop }) =>
        new Promise((resolve, reject) => {
          ends.push((error) => {
            if (error !== undefined) return reject(error)
            written.push(lastStop)
            resolve()
          })
        }),
      persisted: (id) => persisted.push(id),
      onError: (error) => errors.push(error),
      tried: (error) => tried.push(error),
    },
    factsOf('active'),
  )
  /** Ends the write under way. */
  const end = async (error?: Error): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    ends.shift()?.(error)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { writer, written, persisted, errors, tried, end }
}

describe('the facts about roles', () => {
  it('are written one after the other, and those that arrived meanwhile together', async () => {
    const { writer, written, persisted, end } = onDisk()
    writer.write(1, factsOf('crashed'))
    await new Promise((resolve) => setImmediate(resolve))
    writer.write(2, factsOf('standby'))
    writer.write(3, factsOf('active'))
    expect(writer.latest.lastStop).toBe('active')
    await end()
    expect(persisted).toEqual([1])
    await end()
    expect(persisted).toEqual([1, 2, 3])
    expect(written).toEqual(['crashed', 'active'])
  })

  it('that were passed before the end are still written once', async () => {
    const { writer, written, errors, end } = onDisk()
    writer.write(1, factsOf('crashed'))
    await new Promise((resolve) => setImmediate(resolve))
    writer.write(2, factsOf('active'))
    writer.close()
    await end()
    await end()
    await writer.settled()
    expect(written).toEqual(['crashed', 'active'])
    expect(errors).toEqual([])
  })
})
