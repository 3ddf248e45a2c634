/** Who may write and acknowledge now. */
import { expect, it, vi } from 'vitest'
import { WritePath, type WritePathContext } from '../../src/node/writes/write-path.js'

/**
 * The way of writes into an active whose process stood still for so long; `tick` is what it finds
 * out then.
 */
function pathOf(lateMs: number, tick: (driver: { role: string; asking: unknown }) => void) {
  const own = { role: 'active', asking: undefined as unknown }
  const input = vi.fn(() => tick(own))
  const driver = {
    lateMs,
    input,
    get role() {
      return own.role
    },
    get state() {
      return { tenure: { asking: own.asking }, peers: new Map() }
    },
  }
  const context = {
    options: { id: 'alpha', heartbeatMs: 200, switchoverMs: 5_000, frameBytesMax: 1 << 20 },
    bootId: 'boot',
    parts: () => ({ driver }),
    running: () => ({ driver }),
  }
  return { path: new WritePath(context as unknown as WritePathContext), input }
}

const refused = expect.objectContaining({ code: 'NOT_ACTIVE' })

it('an active that stood still looks at the time before it acknowledges, and finds that it lost the role', () => {
  const { path, input } = pathOf(3_000, (own) => {
    own.role = 'discovering'
  })
  expect(() => path.checkTenure()).toThrow(refused)
  expect(input).toHaveBeenCalledExactlyOnceWith({ type: 'tick' })
})

it('an active that stood still acknowledges nothing while it asks whether it still is active', () => {
  const { path } = pathOf(3_000, (own) => {
    own.asking = {}
  })
  expect(() => path.checkTenure()).toThrow(refused)
  expect(path.isCurrent()).toBe(false)
})

it('an active that is on time does not look', () => {
  const { path, input } = pathOf(150, () => undefined)
  path.checkTenure()
  expect(input).not.toHaveBeenCalled()
})
