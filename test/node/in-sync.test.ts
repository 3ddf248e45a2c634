import { describe, expect, it } from 'vitest'
import type { ClusterNode } from '../../src/index.js'
import { codeOf } from '../replication/writer-support.js'
import { addressOf, nodesOn } from './nodes.js'

const nodeOf = nodesOn()

/** Nodes that are not started; the names of observers begin with `o`. */
function nodes(...ids: string[]): ClusterNode[] {
  const members = ids.map((id) => ({ id, address: addressOf(id), observer: id.startsWith('o') }))
  return ids.map((id) => nodeOf(id, { members }))
}

type Three = [ClusterNode, ClusterNode, ClusterNode]

describe('node.inSync', () => {
  it('GEN-2: resolves on the active when that many standbys count, and immediately from then on', async () => {
    const [alpha, beta, gamma] = nodes('alpha', 'beta', 'gamma') as Three
    await alpha.start()
    const reached: number[] = []
    const one = alpha.inSync().then(() => reached.push(1))
    const two = alpha.inSync({ count: 2 }).then(() => reached.push(2))
    await beta.start()
    await one
    expect(reached).toEqual([1])
    expect(alpha.status()).toMatchObject({ inSync: ['beta'], redundant: true, degraded: false })
    await gamma.start()
    await two
    expect([...alpha.status().inSync].sort()).toEqual(['beta', 'gamma'])
    await alpha.inSync({ count: 2 })
  })

  it('on a standby: it is one of them; on an observer: that many are in sync', async () => {
    const [alpha, beta, observer] = nodes('alpha', 'beta', 'observer') as Three
    await Promise.all([alpha.start(), observer.start()])
    let seen = false
    const watched = observer.inSync().then(() => {
      seen = true
    })
    expect(await codeOf(observer.inSync({ signal: AbortSignal.timeout(50) }))).toBe('ABORTED')
    expect(seen).toBe(false)
    await beta.start()
    await Promise.all([beta.inSync(), watched])
    expect(beta.status().inSync).toEqual(['beta'])
  })

  it('waits through a loss of the active', async () => {
    const [alpha, beta, gamma] = nodes('alpha', 'beta', 'gamma') as Three
    await Promise.all([alpha.start(), beta.start()])
    await alpha.inSync()
    const both = beta.inSync({ count: 2 })
    await alpha.stop()
    await gamma.start()
    const one = Promise.all([beta.inSync(), gamma.inSync()])
    await one
    expect([beta.role, gamma.role].sort()).toEqual(['active', 'standby'])
    await beta.stop()
    expect(await codeOf(both)).toBe('STOPPED')
  })

  it('refuses impossible counts', async () => {
    const [alpha, observer] = nodes('alpha', 'observer') as [ClusterNode, ClusterNode]
    for (const count of [0, 1, 1.5]) {
      expect(await codeOf(alpha.inSync({ count }))).toBe('OPTION_INVALID')
    }
    const [beta] = nodes('beta', 'gamma') as [ClusterNode, ClusterNode]
    expect(await codeOf(beta.inSync())).toBe('NOT_STARTED')
    await beta.start()
    await beta.stop()
    expect(await codeOf(beta.inSync())).toBe('STOPPED')
    expect(observer.role).toBe('stopped')
  })
})
