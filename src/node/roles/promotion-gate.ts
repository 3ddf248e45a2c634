/**
 * The application's gate before a promotion, as the driver calls it. Every call gets an answer,
 * whatever the application's code does.
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

  /** Why the gate does not let this node become active; undefined when it does. */
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
    // A synchronous throw, and a result that is no promise, are answers too.
    const ask = async (): Promise<unknown> => await gate.mayBecomeActive(epoch, asked.abort.signal)
    ask().then(
      (ok) => answer(ok === true, `it answered ${String(ok)}`),
      (error: unknown) => {
        if (this.#asked === asked) this.#failed(error)
        answer(false, whatHappened(error))
      },
    )
  }

  /** Ends the call, unless it is the one of this id; its answer no longer counts then. */
  endUnless(id: number | undefined): void {
    const asked = this.#asked
    if (asked === undefined || asked.id === id) return
    this.#asked = undefined
    asked.abort.abort(new HotspareError('ABORTED', 'the attempt to become active is over'))
  }

  /** Forgets the reason, because a member is active. */
  forget(): void {
    this.#refusal = undefined
  }
}
