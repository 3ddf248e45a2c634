// What the server keeps in memory: who has which messages, and the greetings. It changes only through `apply`, which
// every node calls with the same changes in the same order, so that it is the same everywhere.
import { appState } from 'hotspare'

/** @typedef {{ id: string, bytes: number, at: string }} Message */
/**
 * @typedef {{ kind: 'greeting', box: string, text: string }
 *   | { kind: 'left', box: string, message: Message }
 *   | { kind: 'removed', box: string, id: string }} Change
 */

export class Mailboxes {
  /** @type {Map<string, { greeting: string, messages: Message[] }>} */
  #boxes = new Map()

  /** @param {string} box */
  of(box) {
    return this.#boxes.get(box) ?? { greeting: 'Please leave a message.', messages: [] }
  }

  /** Messages that were left before a moment. @param {string} at */
  *before(at) {
    for (const [box, { messages }] of this.#boxes) {
      for (const message of messages) if (message.at < at) yield { box, id: message.id }
    }
  }

  /** @param {Change} change */
  #apply(change) {
    const box = this.of(change.box)
    switch (change.kind) {
      case 'greeting':
        this.#boxes.set(change.box, { ...box, greeting: change.text })
        break
      case 'left':
        this.#boxes.set(change.box, { ...box, messages: [...box.messages, change.message] })
        break
      case 'removed': {
        const messages = box.messages.filter(({ id }) => id !== change.id)
        this.#boxes.set(change.box, { ...box, messages })
      }
    }
  }

  /** How hotspare copies this state. */
  replicated() {
    return appState({
      snapshot: () => [...this.#boxes],
      restore: (snapshot) => {
        this.#boxes = new Map(/** @type {any} */ (snapshot))
      },
      apply: (/** @type {Change} */ change) => this.#apply(change),
    })
  }
}
