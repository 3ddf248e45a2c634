/** Who may write and acknowledge now. */
import { expect, it, vi } from 'vitest'
import { type TenureHolder, TimelyTenure } from '../../src/node/roles/tenure-check.js'

interface Own {
  role: 'active' | 'discovering'
  asking: unknown
}

/** An active whose process stood still for so long; `tick` is what it finds out then. */
function tenureOf(lateMs: number, tick: (own: Own) => void) {
  const own: Own = { role: 'active', asking: undefined }
  const input = vi.fn(() => tick(own))
  const holder = {
    lateMs,
    input,
    get role() {
      return own.role
    },
    get state() {
      return { tenure: { asking: own.asking } }
    },
  }
  return { tenure: new TimelyTenure(holder as unknown as TenureHolder, 200), input }
}

it('a paused active looks at the time before it acknowledges, and finds that it lost the role', () => {
  const { tenure, input } = tenureOf(3_000, (own) => {
    own.role = 'discovering'
  })
  expect(tenure.mayAct()).toBe(false)
  expect(input).toHaveBeenCalledExactlyOnceWith({ type: 'tick' })
})

it('a paused active acknowledges nothing while it asks whether it is still active', () => {
  const { tenure } = tenureOf(3_000, (own) => {
    own.asking = {}
  })
  expect(tenure.mayAct()).toBe(false)
})

it('an active that is on time does not look at the time', () => {
  const { tenure, input } = tenureOf(150, () => undefined)
  expect(tenure.mayAct()).toBe(true)
  expect(input).not.toHaveBeenCalled()
})
