import { describe, expect, it } from 'vitest'
import { encodeTerm } from '../../src/changes/entry.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import { documentOf, nothing } from '../../src/copy/vault/incident.js'
import { Vault } from '../../src/copy/vault/vault.js'
import { HotspareError } from '../../src/errors.js'
import type { Extent, Term } from '../../src/history/position.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { decode, encode } from '../../src/protocol/codec.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { codeOf } from '../replication/writer-support.js'
import { TestClock } from '../support/clock.js'
import {
  EntryMaker,
  openCopy,
  owner,
  put,
  TestState,
  testPolicy,
  text,
  untext,
  watched,
} from './support.js'

const paths = ['docs/a', 'docs/b']
const fileBytes = 1000

function openVault(storage: OpenStorage, bytesMax: number): Promise<Vault> {
  return Vault.open({
    storage,
    clock: new TestClock(),
    nodeId: 'beta',
    bytesMax,
    stateClasses: [],
    report: () => undefined,
  })
}

/** A storage with two files whose documents cannot be written while `broken`. */
async function openFailing(): Promise<{ storage: OpenStorage; failing: { broken: boolean } }> {
  const disk = memory()
  for (const path of paths) disk.outside.write(path, text('x'.repeat(fileBytes)))
  const failing = { broken: false }
  const storage = watched(await disk.open(owner('beta')), (what) => {
    if (failing.broken && what === 'documents.write') throw new HotspareError('STORAGE_FULL')
  })
  return { storage, failing }
}

const termOf = (epoch: number): Term => ({ epoch, nodeId: 'alpha', bootId: `boot${epoch}` })

function cutOf(epoch: number): Extent {
  return { history: [{ ...termOf(epoch), firstSeq: 1 }], seq: 50 }
}

/** A copy that begins restores, all from change 50, and does not finish them. */
async function unfinished(bytesMax: number = 1 << 20) {
  const storage = await memory().open(owner('beta'))
  const copy = await openCopy(storage, testPolicy(new TestState()))
  const vault = await openVault(storage, bytesMax)
  const begin = async (epoch: number, content: string): Promise<void> => {
    await copy.restoreSwitch.begin(cutOf(epoch))
    copy.restoreSwitch.append(new EntryMaker(termOf(epoch), 50).batch(put('docs/a', content)))
    await copy.restoreSwitch.flush()
  }
  const drop = (survivor: Extent = copy.extent): Promise<void> => vault.dropUnused(copy, survivor)
  return { storage, copy, vault, begin, drop }
}

describe('the vault', () => {
  it('counts what an attempt that failed has left once, however often it is repeated', async () => {
    const { storage, failing } = await openFailing()
    const vault = await openVault(storage, 3 * fileBytes)
    failing.broken = true
    for (let attempt = 0; attempt < 5; attempt += 1) {
      expect(await codeOf(vault.keepFiles('outside', paths))).toBe('STORAGE_FULL')
    }
    failing.broken = false
    const incident = await vault.keepFiles('outside', paths)
    expect(vault.bytes).toBe(2 * fileBytes)
    await vault.remove(incident)
    expect(vault.bytes).toBe(0)
    expect(await storage.objects.list('vault')).toEqual([])
  })

  it('says so of an object that it does not hold', async () => {
    const { storage } = await openFailing()
    const vault = await openVault(storage, 3 * fileBytes)
    const incident = await vault.keepFiles('outside', paths)
    for (const object of ['docs/a', incident.id]) {
      expect(await codeOf(vault.read(object, 0, 10))).toBe('FILE_NOT_FOUND')
    }
    await vault.remove(incident)
    const object = incident.files[0]?.object ?? ''
    expect(await codeOf(vault.read(object, 0, 10))).toBe('FILE_NOT_FOUND')
  })

  it('gives the room back that an attempt took which nobody repeats', async () => {
    const { storage, failing } = await openFailing()
    const vault = await openVault(storage, 2 * fileBytes)
    failing.broken = true
    expect(await codeOf(vault.keepFiles('outside', paths))).toBe('STORAGE_FULL')
    failing.broken = false
    // Another incident: what belongs to none would leave no room for it.
    await vault.keepFiles('massDelete', paths)
    expect(vault.bytes).toBe(2 * fileBytes)
    expect((await openVault(storage, 2 * fileBytes)).bytes).toBe(2 * fileBytes)
  })

  it('is full at its limit, keeps what is sealed, and has room again when that was removed', async () => {
    const { storage } = await openFailing()
    const vault = await openVault(storage, 3 * fileBytes)
    const first = await vault.keepFiles('outside', ['docs/a'])
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const kept = vault.keepFiles('massDelete', ['docs/a', 'docs/b', 'docs/a'])
      expect(await codeOf(kept)).toBe('VAULT_FULL')
    }
    expect(await vault.list()).toEqual([first])
    const object = first.files[0]?.object ?? ''
    expect((await vault.read(object, 0, 10)).length).toBe(10)
    // An operator may do so while an attempt is under way.
    const [, second] = await Promise.all([
      vault.remove(first),
      vault.keepFiles('massDelete', ['docs/a', 'docs/b']),
    ])
    expect(await vault.list()).toEqual([second])
    expect(vault.bytes).toBe(2 * fileBytes)
  })

  it('lists an incident of many files', async () => {
    const storage = await memory({ fast: true }).open(owner('beta'))
    const vault = await openVault(storage, fileBytes)
    const id = 'massDelete-beta-1'
    const folder = 'x'.repeat(1000)
    const files = Array.from({ length: 70_000 }, (_, n) => ({
      path: `docs/${folder}/${n}`,
      object: `${id}/files/${n}`,
      bytes: 1,
    }))
    const described = encode({
      version: 1,
      id,
      reason: 'massDelete',
      atWallMs: 1,
      ...nothing,
      files,
    })
    // More than a message may have that comes from a peer.
    expect(() => decode(described)).toThrow()
    await storage.documents.write(documentOf(id), described)
    const [listed] = await vault.list()
    expect(listed?.files).toHaveLength(files.length)
  })

  it('lists the others, and what there is of it, when the description of an incident is damaged', async () => {
    const disk = memory()
    for (const path of paths) disk.outside.write(path, text('content'))
    const storage = await disk.open(owner('beta'))
    const vault = await openVault(storage, 3 * fileBytes)
    const first = await vault.keepFiles('outside', ['docs/a'])
    const second = await vault.keepFiles('outside', ['docs/b'])
    const [name = ''] = await storage.documents.list('vault-incidents/outside')
    expect(disk.flipBit({ kind: 'document', name }, new SeededRandom(1))).toBe(true)
    const [damaged, sound] = await vault.list()
    expect([first, second]).toContainEqual(sound)
    expect(damaged).toMatchObject({ reason: 'unreadable', damaged: true })
    const object = damaged?.files[0]?.object ?? ''
    expect(untext(await vault.read(object, 0, 100))).toBe('content')
    // The same loss is met again.
    const again = await vault.keepFiles('outside', [sound?.id === first.id ? 'docs/b' : 'docs/a'])
    expect(again).toEqual(damaged)
    if (damaged !== undefined) await vault.remove(damaged)
    expect(await vault.list()).toEqual([sound])
    expect(vault.bytes).toBe('content'.length)
  })

  it('unfinished restores are an incident each, also from the same cut and of the same length', async () => {
    const { storage, copy, vault, begin, drop } = await unfinished()
    for (const [epoch, content] of ['the first', 'an other!', 'the third'].entries()) {
      await begin(epoch + 1, content)
      await drop()
    }
    expect(await vault.list()).toHaveLength(3)
    let all = ''
    for (const { name, bytes } of await storage.objects.list('vault')) {
      all += untext(await storage.objects.read('vault', name, 0, bytes))
    }
    for (const content of ['the first', 'an other!', 'the third']) expect(all).toContain(content)
    // A crash between the incident and the removal of the journal.
    await begin(1, 'the first')
    await copy.restoreSwitch.stop()
    await drop()
    expect(await vault.list()).toHaveLength(3)
    await copy.close()
  })

  it('an unfinished restore that brought nothing, or nothing that is lost, is no incident', async () => {
    const { storage, copy, vault, begin, drop } = await unfinished()
    await copy.restoreSwitch.begin(cutOf(1))
    await drop()
    await begin(1, 'the surviving history has it')
    await drop({ ...cutOf(1), seq: 51 })
    expect(await storage.logs.list('journal.next')).toEqual([])
    await begin(1, 'and goes on')
    await drop({ ...cutOf(1), seq: 60 })
    expect(await vault.list()).toEqual([])
    await begin(1, 'one entry more than the surviving history')
    await drop({ ...cutOf(1), seq: 50 })
    expect(await vault.list()).toMatchObject([{ reason: 'unusedRestore', extent: { seq: 51 } }])
    await copy.close()
  })

  it('without room for it an unfinished restore stays on the disk', async () => {
    const { storage, copy, begin, drop } = await unfinished(10)
    await begin(1, 'x'.repeat(100))
    expect(await codeOf(drop())).toBe('VAULT_FULL')
    expect(await storage.logs.list('journal.next')).toHaveLength(1)
    await copy.close()
  })

  it('an incident says of which changes the caller had been told that they are safe', async () => {
    const storage = await memory().open(owner('beta'))
    const copy = await openCopy(storage, testPolicy(new TestState()))
    const vault = await openVault(storage, 1 << 20)
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (const path of ['docs/a', 'docs/b', 'docs/c']) copy.append(maker.batch(put(path, path)))
    // The last entry carries the mark.
    maker.ackedSeq = 2
    copy.append(maker.batch(put('docs/d', 'docs/d')))
    const { changes } = await vault.keepDivergence(copy, 1)
    expect(changes.map(({ seq, acknowledged }) => [seq, acknowledged])).toEqual([
      [2, true],
      [3, 'unknown'],
      [4, 'unknown'],
    ])
    await copy.close()
  })

  /**
   * A copy whose first tenure ended with change 3 unanswered, and whose second one acknowledged
   * change 5.
   */
  async function twoTenures(goesOn: boolean) {
    const copy = await openCopy(await memory().open(owner('beta')), testPolicy(new TestState()))
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (const path of ['docs/a', 'docs/b']) copy.append(maker.batch(put(path, path)))
    maker.ackedSeq = 2
    copy.append(maker.batch(put('docs/c', 'docs/c')))
    maker.term = { ...maker.term, epoch: 2 }
    copy.append(encodeTerm(maker.term, maker.seq + 1, 2, goesOn))
    for (const path of ['docs/d', 'docs/e']) copy.append(maker.batch(put(path, path)))
    maker.ackedSeq = 5
    copy.append(maker.batch(put('docs/f', 'docs/f')))
    return copy
  }

  async function acknowledgedIn(copy: LocalCopy, commonSeq: number): Promise<unknown[]> {
    const vault = await openVault(await memory().open(owner('beta')), 1 << 20)
    const { changes } = await vault.keepDivergence(copy, commonSeq)
    await copy.close()
    return changes.map(({ acknowledged }) => acknowledged)
  }

  it('HEAL-14: what a tenure acknowledged says nothing of the changes that the one before left unanswered', async () => {
    const copy = await twoTenures(false)
    expect(await acknowledgedIn(copy, 1)).toEqual([true, 'unknown', true, true, 'unknown'])
  })

  it('HEAL-14: a change that was answered after its tenure opened a further term is acknowledged', async () => {
    const copy = await twoTenures(true)
    expect(await acknowledgedIn(copy, 1)).toEqual([true, true, true, true, 'unknown'])
  })

  it('HEAL-14: a term that was opened and never used does not hide what was acknowledged', async () => {
    const copy = await openCopy(await memory().open(owner('beta')), testPolicy(new TestState()))
    const maker = new EntryMaker()
    copy.append(maker.open())
    for (const path of ['docs/a', 'docs/b']) copy.append(maker.batch(put(path, path)))
    const unused = { epoch: 2, nodeId: 'gamma', bootId: 'boot' }
    copy.append(encodeTerm(unused, maker.seq + 1, 0))
    maker.ackedSeq = 2
    copy.append(maker.batch(put('docs/c', 'docs/c')))
    expect(await acknowledgedIn(copy, 1)).toEqual([true, 'unknown'])
  })

  it('the same loss gives the same incident, also after a crash', async () => {
    const disk = memory()
    disk.outside.write('docs/a', text('x'))
    const vault = await openVault(await disk.open(owner('beta')), fileBytes)
    const incident = await vault.keepFiles('outside', ['docs/a'])
    disk.crash(new SeededRandom(1), { powerCut: true })
    const again = await openVault(await disk.open(owner('beta')), fileBytes)
    expect(await again.keepFiles('outside', ['docs/a'])).toEqual(incident)
    expect(await again.list()).toEqual([incident])
    expect(again.bytes).toBe(1)
  })
})
