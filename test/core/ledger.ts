/** What must hold in every world; each violation throws at once, at the step that caused it. */
import type { CoreState } from '../../src/core/step.js'
import { type History, relate, sameTerm, type Term } from '../../src/history/position.js'

interface Copy {
  readonly history: History
  readonly seq: number
}

export class Ledger {
  /** Terms that were opened, by whom. */
  opens: { readonly by: string; readonly term: Term }[] = []
  /** The highest durable promise of each node. */
  promises: Map<string, Term> = new Map()
  activeEpochs: Map<string, number> = new Map()
  /** Acknowledged positions, as copies that end there; `safe` when a standby had them too. */
  acks: { readonly copy: Copy; readonly safe: boolean; readonly holders: readonly string[] }[] = []
  /**
   * Two were active at once: only a partition, or messages that took too long, may bring that
   * about.
   */
  twoActives = false

  clone(): Ledger {
    const copy = new Ledger()
    copy.opens = [...this.opens]
    copy.promises = new Map(this.promises)
    copy.activeEpochs = new Map(this.activeEpochs)
    copy.acks = this.acks
    copy.twoActives = this.twoActives
    return copy
  }

  promised(node: string, term: Term | undefined): void {
    const before = this.promises.get(node)
    if (term === undefined) return
    if (before !== undefined) {
      check(term.epoch >= before.epoch, `${node} went back from ${before.epoch} to ${term.epoch}`)
      const two = term.epoch === before.epoch && !sameTerm(term, before)
      check(!two, `${node} promised two terms of epoch ${term.epoch}`)
    }
    this.promises.set(node, term)
  }

  opened(node: string, term: Term, core: CoreState): void {
    check(term.nodeId === node, `${node} opened a term of ${term.nodeId}`)
    check(term.bootId === core.options.bootId, `${node} opened a term of another process`)
    const promised = this.promises.get(node)
    check(
      promised !== undefined && (sameTerm(promised, term) || promised.epoch > term.epoch),
      `${node} opened ${term.epoch} without having promised it durably`,
    )
    for (const { by, term: other } of this.opens) {
      check(!sameTerm(other, term), `${node} opened ${term.epoch} twice`)
      check(other.epoch !== term.epoch || by !== node, `${node} opened epoch ${term.epoch} twice`)
    }
    this.opens.push({ by: node, term })
  }

  /**
   * Two sides of a partition may choose the same number; whoever has heard of one of them opens no
   * other.
   */
  opening(node: string, term: Term, core: CoreState): void {
    for (const [id, { view }] of core.peers) {
      for (const other of [view?.promised, view?.activeTerm, view?.follows?.term, view?.round]) {
        if (other === undefined || sameTerm(other, term)) continue
        check(other.epoch < term.epoch, `${node} opens ${term.epoch} knowing of ${id}`)
      }
    }
  }

  /** With a disk goes what was promised and opened on it: nobody can hold its node to that. */
  replaced(node: string): void {
    this.promises.delete(node)
    this.activeEpochs.delete(node)
    this.opens = this.opens.map((one) => (one.by === node ? { ...one, by: '' } : one))
  }

  stepped(node: string, core: CoreState): void {
    const epoch = core.role === 'active' ? core.tenure?.term.epoch : undefined
    if (epoch === undefined) return
    const before = this.activeEpochs.get(node) ?? 0
    check(epoch >= before, `the epoch of ${node} went back`)
    this.activeEpochs.set(node, epoch)
  }

  /** `holders` had it when it was acknowledged; nobody when the active was alone. */
  acknowledge(copy: Copy, holders: readonly string[]): void {
    const { history, seq } = copy
    this.acks.push({ copy: { history, seq }, safe: holders.length > 0, holders })
  }

  /** Acknowledged writes that this copy lacks. */
  lost(copy: Copy): number {
    return this.#lostBy(copy).length
  }

  /**
   * Those of them that nobody was told of: no event named a member that held them. What was told of
   * is not asked for again.
   */
  settle(copy: Copy, named: ReadonlySet<string>): number {
    const lost = this.#lostBy(copy)
    this.acks = this.acks.filter((ack) => !lost.includes(ack))
    return lost.filter(({ holders }) => !holders.some((id) => named.has(id))).length
  }

  #lostBy(copy: Copy): Ledger['acks'] {
    return this.acks.filter((ack) => {
      if (!ack.safe) return false
      const { kind } = relate(copy, ack.copy)
      return kind !== 'equal' && kind !== 'ahead'
    })
  }
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`violated: ${what}`)
}
