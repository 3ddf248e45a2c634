import { describe, expect, test } from 'vitest'
import { EntryMaker, owner, put, remove, startNode, update } from './support.js'

describe('folders and the end of a local copy', () => {
  test('folders are known as long as they contain files', async () => {
    const { copy } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    copy.append(maker.batch(put('docs/a/b/c', 'c'), put('docs/a/d', 'd')))
    expect([copy.files.hasBelow('docs/a/b'), copy.files.hasBelow('docs/a')]).toEqual([true, true])
    copy.append(maker.batch(remove('docs/a/b/c')))
    expect([copy.files.hasBelow('docs/a/b'), copy.files.hasBelow('docs/a')]).toEqual([false, true])
    copy.append(maker.batch(remove('docs/a/d')))
    expect([copy.files.hasBelow('docs'), copy.files.hasBelow('docs/a')]).toEqual([false, false])
    await copy.settle()
    expect(copy.files.hasBelow('docs')).toBe(false)
  })

  test('a closed copy accepts nothing, and closing twice is allowed', async () => {
    const { copy, storage } = await startNode()
    const maker = new EntryMaker()
    copy.append(maker.open())
    await copy.close()
    await copy.close()
    expect(() => copy.append(maker.batch(update('x', 1)))).toThrow(
      expect.objectContaining({ code: 'STOPPED' }),
    )
    expect(storage.owner).toBeDefined()
    expect(owner().nodeId).toBe('alpha')
  })
})
