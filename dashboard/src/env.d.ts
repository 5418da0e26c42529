/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** The shop's currency, an ISO 4217 code; EUR without it. */
  readonly VITE_CURRENCY?: string;
}
