import { describe, expect, it } from 'vitest'
import { leftEmptyMax } from '../../src/core/standing/left-empty.js'
import type { DurableFacts } from '../../src/core/state/facts.js'
import { HotspareError } from '../../src/errors.js'
import type { LogStore, OpenStorage } from '../../src/interfaces/storage.js'
import { FactsLog, noFacts } from '../../src/node/roles/hard-state-log.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'

const owner = { cluster: 'voice', nodeId: 'alpha' }

const factsAt = (epoch: number): DurableFacts => ({
  promised: { epoch, nodeId: 'beta', bootId: `boot-${epoch}` },
  known: { term: { epoch: epoch - 1, nodeId: 'alpha', bootId: 'boot' }, seq: epoch * 10 },
  lastStop: 'crashed',
})

function opened(storage: MemoryStorage): Promise<OpenStorage> {
  return storage.open({ nodeId: 'alpha', bootId: 'boot' })
}

async function factsIn(storage: MemoryStorage): Promise<DurableFacts> {
  const open = await opened(storage)
  const { facts } = await FactsLog.open(open.logs, owner)
  await open.close()
  return facts
}

async function written(storage: MemoryStorage, upTo: number): Promise<void> {
  const open = await opened(storage)
  const log = await FactsLog.open(open.logs, owner)
  for (let epoch = 1; epoch <= upTo; epoch += 1) await log.write(factsAt(epoch), false)
  await log.close()
  await open.close()
}

describe('what a node promised', () => {
  it('is stored with whether that process acknowledged from memory', async () => {
    const open = await opened(memory())
    expect((await FactsLog.open(open.logs, owner)).memoryAcks).toBeUndefined()
    for (const memoryAcks of [true, false]) {
      const log = await FactsLog.open(open.logs, owner)
      await log.write(factsAt(1), memoryAcks)
      await log.close()
      const again = await FactsLog.open(open.logs, owner)
      expect(again.memoryAcks).toBe(memoryAcks)
      await again.close()
    }
    await open.close()
  })

  it('is there after every restart, however often it changed', async () => {
    const storage = memory()
    expect(await factsIn(storage)).toEqual(noFacts)
    for (const upTo of [1, 3, 200]) {
      await written(storage, upTo)
      expect(await factsIn(storage)).toEqual(factsAt(upTo))
    }
    const open = await opened(storage)
    const logs = await open.logs.list('meta')
    expect(logs.length).toBe(1)
    expect(logs[0]?.bytes).toBeLessThanOrEqual(512 * 1024)
    await open.close()
  })

  it('has room for the empty terms that it left, or leaves them out', async () => {
    const termOf = (length: number) => (_: unknown, at: number) => {
      const text = `${at}`.padEnd(length, 'x')
      return { epoch: at + 1, nodeId: text, bootId: text }
    }
    for (const length of [64, 256]) {
      const storage = memory()
      const open = await opened(storage)
      const log = await FactsLog.open(open.logs, owner)
      const [promised] = Array.from({ length: 1 }, termOf(256))
      const leftEmpty = Array.from({ length: leftEmptyMax }, termOf(length))
      const facts: DurableFacts = { ...factsAt(1), promised }
      await log.write({ ...facts, leftEmpty }, false)
      await log.close()
      await open.close()
      expect(await factsIn(storage)).toEqual(length === 64 ? { ...facts, leftEmpty } : facts)
    }
  })

  it('a crash in the midst of a write leaves the last answered facts, or the new ones', async () => {
    const found = new Set<number>()
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = new SeededRandom(seed)
      const storage = memory()
      await written(storage, 1 + (seed % 3) * 63)
      const last = 1 + (seed % 3) * 63
      const open = await opened(storage)
      storage.faults.latency = () => 5
      const log = await FactsLog.open(open.logs, owner)
      void log.write(factsAt(last + 1), false).catch(() => undefined)
      storage.crash(random)
      storage.faults.latency = undefined
      const { promised } = await factsIn(storage)
      expect([last, last + 1]).toContain(promised?.epoch)
      found.add((promised?.epoch ?? 0) - last)
      await written(storage, last + 2)
      expect(await factsIn(storage)).toEqual(factsAt(last + 2))
    }
    expect(found.size).toBeGreaterThan(0)
  })

  it('survives a bit that flips, since every slot has a twin', async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const storage = memory()
      await written(storage, 2)
      const target = { kind: 'log', area: 'meta', name: '00000001' } as const
      expect(storage.flipBit(target, new SeededRandom(seed))).toBe(true)
      expect(await factsIn(storage)).toEqual(factsAt(2))
    }
  })

  it('is refused when no part of it can be read, or when it belongs to another node', async () => {
    const storage = memory()
    const open = await opened(storage)
    const log = await open.logs.open('meta', '00000001')
    await log.append([new Uint8Array(8192).fill(7)])
    await log.close()
    await expect(FactsLog.open(open.logs, owner)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
    await open.close()
    const other = memory()
    await written(other, 1)
    const theirs = await opened(other)
    const stranger = FactsLog.open(theirs.logs, { ...owner, nodeId: 'beta' })
    await expect(stranger).rejects.toMatchObject({
      code: 'STORAGE_FORMAT',
      message: expect.stringContaining('Correct id, cluster or the directory.'),
    })
  })

  it('is refused as damaged where its checksum is sound and its content is not', async () => {
    const facts = factsAt(3)
    const term = { epoch: -1, nodeId: 'beta', bootId: 'boot' }
    const wrong: [string, DurableFacts][] = [
      ['promised', { ...facts, promised: term }],
      ['known', { ...facts, known: { term, seq: 1 } }],
      ['known', { ...facts, known: { ...facts.known, seq: 0.5 } } as DurableFacts],
      ['leftEmpty', { ...facts, leftEmpty: [term] }],
      ['leftEmpty', { ...facts, leftEmpty: 'none' } as unknown as DurableFacts],
    ]
    for (const [field, written] of wrong) {
      const open = await opened(memory())
      const log = await FactsLog.open(open.logs, owner)
      await log.write(written, false)
      await log.close()
      await expect(FactsLog.open(open.logs, owner)).rejects.toMatchObject({
        code: 'STORAGE_CORRUPT',
        message: expect.stringContaining(`the field ${field}`),
      })
      await open.close()
    }
  })

  it('continues after the disk was full', async () => {
    const storage = memory()
    await written(storage, 1)
    const open = await opened(storage)
    const log = await FactsLog.open(open.logs, owner)
    storage.faults.full = true
    await expect(log.write(factsAt(2), false)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    await expect(log.write(factsAt(2), false)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    storage.faults.full = false
    await log.write(factsAt(3), false)
    await log.close()
    await open.close()
    expect(await factsIn(storage)).toEqual(factsAt(3))
  })

  it('leaves no empty files behind', async () => {
    const storage = memory()
    await written(storage, 1)
    const open = await opened(storage)
    let isFull = false
    // On a full disk a file can be made, and nothing be put into it.
    const logs: LogStore = {
      ...{ list: (area) => open.logs.list(area) },
      ...{ remove: (area, names) => open.logs.remove(area, names) },
      ...{ replace: (from, to) => open.logs.replace(from, to) },
      open: async (area, name) => {
        const log = await open.logs.open(area, name)
        const append = log.append.bind(log)
        log.append = async (parts) => {
          if (isFull) throw new HotspareError('STORAGE_FULL')
          await append(parts)
        }
        return log
      },
    }
    const log = await FactsLog.open(logs, owner)
    isFull = true
    for (let tries = 0; tries < 100; tries += 1) {
      await expect(log.write(factsAt(2), false)).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    }
    expect((await open.logs.list('meta')).length).toBeLessThanOrEqual(2)
    isFull = false
    await log.write(factsAt(3), false)
    expect(await open.logs.list('meta')).toHaveLength(1)
    await log.close()
    await open.close()
    expect(await factsIn(storage)).toEqual(factsAt(3))
  })
})
