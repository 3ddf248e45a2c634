/**
 * The application's gate before the role, as the driver asks it: whatever its code does, the
 * attempt gets an answer.
 */
import { HotspareError, whatHappened } from '../../errors.js'
import type { PromotionGate } from '../../interfaces/witness.js'

export class AskedGate {
  readonly #answered: (id: number, ok: boolean) => void
  readonly #failed: (error: unknown) => void
  #asked: { readonly id: number; readonly abort: AbortController } | undefined
  #refusal: string | undefined

  constructor(answered: (id: number, ok: boolean) => void, failed: (error: unknown) => void) {
    this.#answered = answered
    this.#failed = failed
  }

  /** Why the gate keeps this node from becoming active; undefined when it does not. */
  get stuck(): string | undefined {
    return this.#asked === undefined ? this.#refusal : 'the gate has not answered yet'
  }

  ask(gate: PromotionGate, id: number, epoch: number): void {
    const asked = { id, abort: new AbortController() }
    this.#asked = asked
    const answer = (ok: boolean, why: string): void => {
      if (this.#asked !== asked) return
      this.#asked = undefined
      this.#refusal = ok ? undefined : `the gate did not let this node become active: ${why}`
      this.#answered(id, ok)
    }
    // What it throws at once, or answers without a promise, is an answer too.
    const ask = async (): Promise<unknown> => await gate.mayBecomeActive(epoch, asked.abort.signal)
    ask().then(
      (ok) => answer(ok === true, `it answered ${String(ok)}`),
      (error: unknown) => {
        if (this.#asked === asked) this.#failed(error)
        answer(false, whatHappened(error))
      },
    )
  }

  /**
   * The attempt that it was asked for is over, unless it is this one: its answer counts no more.
   */
  endUnless(id: number | undefined): void {
    const asked = this.#asked
    if (asked === undefined || asked.id === id) return
    this.#asked = undefined
    asked.abort.abort(new HotspareError('ABORTED', 'the attempt to become active is over'))
  }

  /** Somebody is active. */
  forget(): void {
    this.#refusal = undefined
  }
}
