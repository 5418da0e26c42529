/** What a token says about itself. Only the server can tell whether that is true. */
export interface Claims {
  readonly role?: string;
  /** When it expires, seconds since 1970. */
  readonly exp?: number;
  /** The id of the key that signed it. */
  readonly kid?: string;
}

/** Reads the claims of a JWT (RFC 7519), to show what fits the role. Nothing is verified. */
export function claimsOf(token: string): Claims {
  try {
    const [header = '', payload = ''] = token.split('.');
    const { role, exp } = part(payload);
    const { kid } = part(header);
    return {
      ...(typeof role === 'string' ? { role } : {}),
      ...(typeof exp === 'number' ? { exp } : {}),
      ...(typeof kid === 'string' ? { kid } : {}),
    };
  } catch {
    return {};
  }
}

/** A part of a token: JSON in base64url (RFC 7515, section 2). */
function part(text: string): Record<string, unknown> {
  const json: unknown = JSON.parse(atob(text.replaceAll('-', '+').replaceAll('_', '/')));
  return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
}
