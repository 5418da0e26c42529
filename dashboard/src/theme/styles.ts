import createCache, { type EmotionCache } from '@emotion/cache';
import { StyleSheet, type Options } from '@emotion/sheet';

/**
 * Rules in a constructed style sheet.
 *
 * emotion would put them into a `<style>` element. The page's policy, `style-src 'self'`, refuses such an
 * element even if it is empty. It allows style sheets that a script of the page makes.
 */
class AdoptedSheet extends StyleSheet {
  readonly #rules = new CSSStyleSheet();

  constructor(options: Options) {
    super(options);
    const others = document.adoptedStyleSheets;
    // Styles of a component win over those of the whole page, and so come later.
    const global = options.key.endsWith('-global');
    document.adoptedStyleSheets = global ? [this.#rules, ...others] : [...others, this.#rules];
  }

  override insert(rule: string): void {
    try {
      this.#rules.insertRule(rule, this.#rules.cssRules.length);
    } catch {
      // A selector of another browser. emotion passes over it, too.
    }
  }

  override flush(): void {
    this.#rules.replaceSync('');
  }
}

/** emotion's cache, whose styles the page's policy allows. */
export function styleCache(): EmotionCache {
  const cache = createCache({ key: 'z' });
  cache.sheet = new AdoptedSheet({ key: cache.key, container: document.head, speedy: true });
  return cache;
}
