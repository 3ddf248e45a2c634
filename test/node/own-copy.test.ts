import { describe, expect, it, vi } from 'vitest'
import { SyncPolicy, synced } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { addressOf, nodesOn } from './nodes.js'

const nodeOf = nodesOn()
const files = synced('files/**')
const both = new SyncPolicy({ files, more: synced('more/**') })
const one = new SyncPolicy({ files })
const members = [{ id: 'alpha', address: addressOf('alpha') }]

describe('a node whose policy lacked a class for a while', () => {
  it('reports the class of which its copy is incomplete, and what to do; without that class it serves', async () => {
    const storage = memory()
    const alpha = nodeOf('alpha', { storage, members, policy: both })
    await alpha.start()
    await alpha.files.write('more/a', 'a')
    // As a crash leaves it: the change is in the journal, and no checkpoint has it.
    const image = storage.image()
    await alpha.stop()
    storage.replace(image)
    const without = nodeOf('alpha', { storage, members, policy: one })
    await without.start()
    await without.stop()

    const again = nodeOf('alpha', { storage, members, policy: both })
    const told: string[] = []
    again.on('holding', ({ reason }) => told.push(reason))
    const started = again.start().catch(() => undefined)
    await vi.waitFor(() => expect(again.status().stuck).toMatch(/incomplete.* 'more'/))
    expect(again.status()).toMatchObject({ complete: false, role: 'discovering' })
    expect(told).toEqual([expect.stringMatching(/^no member in reach .* 'more'.* Start a member/)])
    await again.stop()
    await started

    const rest = nodeOf('alpha', { storage, members, policy: one })
    await rest.start()
    expect(rest.role).toBe('active')
  })
})
