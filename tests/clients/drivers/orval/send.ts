// What orval's functions send a request with: it adds the API's URL and the token.

const { API, TOKEN } = process.env as { API: string; TOKEN: string };

export async function send<T>(path: string, options: RequestInit): Promise<T> {
  const headers = new Headers(options.headers);
  headers.set("Authorization", `Bearer ${TOKEN}`);
  const response = await fetch(API + path, { ...options, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, data: text ? JSON.parse(text) : undefined } as T;
}
