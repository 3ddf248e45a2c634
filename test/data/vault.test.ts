import { describe, expect, it } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import { Vault } from '../../src/replication/vault.js'
import { memory } from '../../src/storage/memory.js'
import { owner, SeededRandom, text, watched } from './copy-support.js'
import { codeOf, TestClock } from './writer-support.js'

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
